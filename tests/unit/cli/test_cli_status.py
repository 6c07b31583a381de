"""What `tradebus status` says of the market's rules: how many remarks, and all of them where that is asked for."""

import json
from dataclasses import asdict

import pytest

from services.cli.stack.status import kill_line, print_sessions, print_status, rules_lines, session_state
from services.gateway.http.rows import account
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
    parts = {"halted": None, "halted_parts": {"symbol SBIN": "symbol_max_loss"}}
    assert session_state({**session, **parts}, {"engaged": False}) == "RUNNING (symbol SBIN halted: symbol_max_loss)"
    assert kill_line({"engaged": False}) == ""
    again = [{"reason": "token leaked", "at_utc": "2026-11-25T04:31:00Z"}, {"reason": "by file", "at_utc": None}]
    line = kill_line({"engaged": True, "reason": "feed is mad", "since_utc": None, "further": again})
    assert "ENGAGED: feed is mad; again at 2026-11-25T04:31:00Z: token leaked; again: by file. No entries" in line
    assert "without a gateway" in kill_line({"engaged": True, "reason": "without a gateway", "since_utc": None})


def test_without_a_gateway_the_file_tells_how_the_switch_stands(capsys: pytest.CaptureFixture[str]) -> None:
    print_status({"stacks": [], "gateway": "does not answer", "kill_switch": {"engaged": True, "reason": "by file"}})
    assert "KILL SWITCH ENGAGED: by file" in capsys.readouterr().out


LONG_SYMBOL = "NFO:BANKNIFTY:2026-12-29:55500:CE"
PAUSED = {
    "user_id": "asha", "mode": "paper", "status": "PAUSED", "session_id": "01a22c94-7534-7a05-a903-9a2bd5d6a592",
    "trades": 12, "net_pnl": -104142.08, "halted": None, "reason": "strategy mine: its process ended three times",
}  # fmt: skip
POSITION = {
    "user_id": "asha", "strategy": "orb", "symbol": "BANKNIFTY", "side": "LONG", "quantity": 1200,
    "entry_price": 55387.55, "last_price": 55410.85, "unrealised_pnl": -27960.0, "group_id": None,
}  # fmt: skip


def shown_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **found: list[dict[str, object]]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    print_status({"stacks": [], "gateway": "ready", "sessions": [], "portfolio": [], "health": {}, **found})
    return capsys.readouterr().out.splitlines()


def test_why_a_session_is_paused_is_said_below_it_and_what_is_over_for_one_that_runs_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown_at_80_columns(
        capsys, monkeypatch, sessions=[PAUSED, {**PAUSED, "user_id": "ravi", "status": "RUNNING"}]
    )
    row = next(number for number, line in enumerate(lines) if "asha" in line)
    assert lines[row].split() == ["asha", "paper", "PAUSED", "12", "-104142.08"]
    assert PAUSED["session_id"] in lines[row + 1]
    assert lines[row + 1].endswith("strategy mine: its process ended three times")
    assert lines[row + 3] == f"    session {PAUSED['session_id']}"


def test_no_price_no_profit_and_no_symbol_is_cut_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = shown_at_80_columns(capsys, monkeypatch, portfolio=[{"positions": [POSITION]}])
    assert all(len(line) <= 80 for line in lines)
    assert lines[-1].split() == ["asha", "orb", "BANKNIFTY", "LONG", "1200", "55387.55", "55410.85", "-27960.0"]
    lines = shown_at_80_columns(
        capsys, monkeypatch,
        portfolio=[{"positions": [POSITION, {**POSITION, "symbol": LONG_SYMBOL, "group_id": "straddle-1"}]}],
    )  # fmt: skip
    assert LONG_SYMBOL in lines[-2]
    assert "-27960.0" in lines[-2]
    assert lines[-1] == "    group straddle-1"


def test_what_the_broker_and_the_book_disagree_about_stands_below_the_session(capsys):
    mismatch = {"what": "position X", "ours": "65", "brokers": "0", "action": "`tradebus settle` says at which price"}
    session = {
        "session_id": "s1", "user_id": "u", "mode": "live", "status": "RUNNING", "trades": 1, "net_pnl": 0.0,
        "mismatches": [mismatch],
    }  # fmt: skip
    print_sessions([session])
    assert "position X: 65 with us, 0 at the broker. `tradebus settle`" in capsys.readouterr().out
    print_sessions([{**session, "status": "STOPPED"}])
    assert "position X" not in capsys.readouterr().out


def test_what_waits_for_a_person_is_said_with_the_time_that_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = [{"expires_at": f"2026-11-25T10:0{minute}:30.000+05:30"} for minute in (2, 1)]
    found = {"stacks": [], "gateway": "ready", "sessions": [], "portfolio": [], "health": {}}
    print_status({**found, "approvals": waiting})
    assert "2 entries wait for a person, until 10:01:30: `tradebus approvals list`" in capsys.readouterr().out
    print_status({**found, "approvals": waiting[:1]})
    assert "1 entry waits for a person, until 10:02:30" in capsys.readouterr().out
    print_status({**found, "approvals": []})
    assert "for a person" not in capsys.readouterr().out


def test_order_budgets_are_shown_by_account_used_of_cap_in_each_span(capsys: pytest.CaptureFixture[str]) -> None:
    budgets = [
        {
            "account": "kite:asha", "problem": None, "order_to_trade": {"orders": 120, "trades": 40, "ratio": 3.0},
            "spans": [
                {"span": "second", "used": 3, "cap": 9}, {"span": "minute", "used": 41, "cap": 390},
                {"span": "day", "used": 913, "cap": 4900},
            ],
        },
        {
            "account": "dhan:ravi", "problem": None, "order_to_trade": {"orders": 0, "trades": 0, "ratio": None},
            "spans": [{"span": "second", "used": 0, "cap": 9}, {"span": "hour", "used": 2, "cap": 980}],
        },
        {"account": "kite:old", "spans": [], "order_to_trade": None, "problem": "order budget: format 0"},
    ]  # fmt: skip
    print_status({
        "stacks": [], "gateway": "ready", "sessions": [], "portfolio": [], "health": {}, "order_budgets": budgets,
    })  # fmt: skip
    shown = capsys.readouterr().out.splitlines()
    start = shown.index("order budgets:")
    assert [line.split() for line in shown[start + 1 :]] == [
        ["account", "second", "minute", "day", "hour", "orders:trades"],
        ["kite:asha", "3/9", "41/390", "913/4900", "-", "120:40"],
        ["dhan:ravi", "0/9", "-", "-", "2/980", "0:0"],
        ["kite:old", "-", "-", "-", "-", "-"],
        ["order", "budget:", "format", "0"],
    ]


def test_an_accounts_profit_stands_beside_the_brokers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = {
        "as_of_ns": 1_795_590_000_000_000_000, "ours_paise": 1_234_050, "brokers_paise": 1_230_000,
        "differences": [
            {"symbol": "INFY", "ours_paise": 4_050, "brokers_paise": 0},
            {"symbol": "TCS", "ours_paise": None, "brokers_paise": 0},
        ],
    }  # fmt: skip
    seen = account({"account": "kite:asha", "blocked": "", "profit": json.dumps(body)})
    assert seen["profit"]["as_of_utc"].startswith("2026-11-25T")
    unseen = account({"account": "dhan:ravi", "blocked": "login_ended", "profit": None})
    assert (unseen["blocked"], unseen["profit"]) == ("login_ended", None)
    found = {
        "stacks": [],
        "gateway": "ready",
        "sessions": [],
        "portfolio": [],
        "health": {},
        "accounts": [seen, unseen],
    }
    print_status(found)
    shown = capsys.readouterr().out.splitlines()
    start = shown.index(
        "account kite:asha: 12,340.50 today with us, 12,300.00 at the broker, before charges; 40.50 apart"
    )
    assert shown[start + 1 :] == [
        "  INFY: 40.50 with us, 0.00 at the broker", "  TCS: held alone with us, 0.00 at the broker"
    ]  # fmt: skip
