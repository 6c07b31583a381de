"""What `tradebus status` says of the market's rules: how many remarks, and all of them where that is asked for."""

from dataclasses import asdict

import pytest

from services.cli.stack.status import kill_line, print_status, rules_lines, session_state
from tradebus.calendar.review import Remark, RemarkKind

REMARKS = [
    asdict(Remark(kind, "hours", f"about {number}", f"text {number}"))
    for number, kind in enumerate([RemarkKind.PROVISIONAL, RemarkKind.STALE, RemarkKind.PROVISIONAL])
]
MISSING = asdict(Remark(RemarkKind.MISSING, "holidays", "2028", "no holidays of 2028"))


def test_remarks_are_counted_in_one_line_and_what_is_missing_is_said() -> None:
    line = "market rules: 2 provisional, 1 stale; `tradebus status --rules` lists them"
    assert rules_lines(REMARKS, listed=False) == [line]
    assert rules_lines([*REMARKS, MISSING], listed=False) == ["market rules: no holidays of 2028", line]
    assert rules_lines([], listed=False) == rules_lines([], listed=True) == []


@pytest.mark.parametrize("rules", [True, False])
def test_the_option_lists_them(rules: bool, capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "stacks": [], "gateway": "ready", "sessions": [], "portfolio": [],
        "health": {"market_rules": {"remarks": REMARKS}},
    }  # fmt: skip
    print_status(found, rules=rules)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("market rules: ")]
    assert len(lines) == (3 if rules else 1)
    assert ("market rules: text 1" in lines) is rules


def test_an_engaged_switch_and_a_halt_are_said_where_the_status_is(capsys: pytest.CaptureFixture[str]) -> None:
    switch = {"engaged": True, "reason": "feed is mad", "since_utc": "2026-11-25T04:30:00.000000Z"}
    session = {
        "user_id": "asha", "mode": "paper", "status": "RUNNING", "session_id": "s1", "trades": 1, "net_pnl": 0.0,
        "halted": "daily_max_loss",
    }  # fmt: skip
    found = {
        "stacks": [], "gateway": "ready", "sessions": [session], "portfolio": [], "health": {}, "kill_switch": switch,
    }  # fmt: skip
    print_status(found)
    shown = capsys.readouterr().out
    assert "KILL SWITCH ENGAGED since 2026-11-25T04:30:00Z: feed is mad" in shown
    assert "killed" in shown
    assert session_state(session, switch) == "RUNNING (killed, halted: daily_max_loss)"
    assert session_state({**session, "status": "STOPPED"}, switch) == "STOPPED"
    assert session_state({**session, "halted": None}, {"engaged": False}) == "RUNNING"
    assert kill_line({"engaged": False}) == ""
    assert "without a gateway" in kill_line({"engaged": True, "reason": "without a gateway", "since_utc": None})


def test_without_a_gateway_the_file_tells_how_the_switch_stands(capsys: pytest.CaptureFixture[str]) -> None:
    print_status({"stacks": [], "gateway": "does not answer", "kill_switch": {"engaged": True, "reason": "by file"}})
    assert "KILL SWITCH ENGAGED: by file" in capsys.readouterr().out
