"""`tradebus limits`: what it shows, and what it sends."""

import getpass
from typing import Any

import pytest

from services.cli.arguments import parse_pairs
from services.cli.limits import change_data, check_whose, limit_lines
from tradebus.kernel.errors import InvalidInput


def test_a_change_carries_who_why_and_none_for_no_limit() -> None:
    given = parse_pairs(["daily_max_loss=5000", "max_positions=none", "safe_trading_start=10:00"], option="--set")
    assert change_data(given, strategy=None, by=None, reason="why", widen=False) == {
        "limits": {"daily_max_loss": 5000, "max_positions": None, "safe_trading_start": "10:00"},
        "by": getpass.getuser(), "reason": "why", "widen": False,
    }  # fmt: skip
    of_one = change_data(given, strategy="orb", by="asha", reason="why", widen=True)
    assert (of_one["strategy"], of_one["by"], of_one["widen"]) == ("orb", "asha", True)


def test_a_change_without_a_reason_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidInput, match="--reason"):
        change_data({"max_positions": 1}, strategy=None, by=None, reason=None, widen=False)


def test_a_change_of_what_sessions_share_names_its_scope_and_no_user() -> None:
    data = change_data({"max_positions": 1}, strategy=None, by="asha", reason="why", widen=False, scope="all")
    assert (data["scope"], "strategy" in data) == ("all", False)
    check_whose("123", scope=None)
    check_whose(None, scope="all")
    for user, scope in ((None, None), ("123", "all")):
        with pytest.raises(InvalidInput, match="USER or --scope"):
            check_whose(user, scope=scope)


def room(limit: str, used: float, most: float, unit: str = "count", scope: str = "session") -> dict[str, Any]:
    return {
        "scope": scope, "limit": limit, "used": used, "most": most, "left": most - used, "share": used / most,
        "unit": unit,
    }  # fmt: skip


def test_the_limit_that_is_used_most_stands_first_and_changes_follow() -> None:
    change = {
        "changed_at": "2026-11-30T10:15:00.000+05:30", "changed_by": "asha", "field": "daily_max_loss",
        "strategy": "orb", "before": None, "after": 5000.0, "widens": False, "reason": "a bad morning",
    }  # fmt: skip
    found = {
        "limits": [
            room("max_concurrent_trades", 1, 4),
            room("daily_max_loss", 4500.5, 5000.0, "rupees", "strategy orb"),
        ],
        "changes": [change, {**change, "strategy": None, "before": 1.0, "after": None, "widens": True}],
    }
    assert limit_lines(found) == [
        "daily_max_loss (strategy orb)     90%  ₹4,500.50 of ₹5,000.00, ₹499.50 left",
        "max_concurrent_trades (session)   25%  1 of 4, 3 left",
        "2026-11-30T10:15:00.000+05:30  asha: daily_max_loss of orb from none to 5000.0: a bad morning",
        "2026-11-30T10:15:00.000+05:30  asha: daily_max_loss from 1.0 to none, wider: a bad morning",
    ]
