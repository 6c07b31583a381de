"""What `tradebus status` says of the market's rules: how many remarks, and all of them where that is asked for."""

from dataclasses import asdict

import pytest

from services.cli.stack.status import print_status, rules_lines
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
