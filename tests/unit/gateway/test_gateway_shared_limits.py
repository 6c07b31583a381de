"""SET_SHARED_LIMITS: what several sessions share is changed by a command of no user, audited, told, never widened by
chance."""

from typing import Any

import pytest
from testkit.gateway import MemoryGateway

from tradebus.contracts.sessions import ScopeLimits
from tradebus.store.books import shared_limits_book

WHO = {"by": "asha", "reason": "a wild morning"}


def asked(limits: dict[str, Any], *, scope: str = "account kite", **more: Any) -> dict[str, Any]:
    return {"action": "SET_SHARED_LIMITS", "data": {**WHO, "scope": scope, "limits": limits, **more}}


async def in_force(twin: MemoryGateway) -> dict[str, ScopeLimits]:
    return {scope: row.limits for scope, row in (await shared_limits_book(twin.book).rows()).items()}


async def test_a_change_stands_in_the_book_with_who_and_why_and_is_told(twin: MemoryGateway) -> None:
    reply = await twin.command(**asked({"daily_max_loss": "5000.50", "max_positions": 4}))
    assert (reply["status"], reply["session_id"], reply["session_status"]) == ("accepted", None, None)
    wanted = ScopeLimits(daily_max_loss_paise=500_050, max_positions=4)
    assert await in_force(twin) == {"account kite": wanted}
    kept = await shared_limits_book(twin.book).changes()
    assert [(one.scope, one.field, one.before, one.after, one.widens) for one in kept] == [
        ("account kite", "daily_max_loss_paise", None, 500_050, False),
        ("account kite", "max_positions", None, 4, False),
    ]  # fmt: skip
    assert {(one.changed_by, one.reason) for one in kept} == {("asha", "a wild morning")}
    event = await twin.event("LIMITS_CHANGED")
    assert (event["scope"], event["changed_by"], event["session_id"]) == ("account kite", "asha", None)
    await twin.command(**asked({"max_positions": 2}, scope="all"))
    await twin.command(**asked({"max_positions": 3}))
    assert await in_force(twin) == {
        "account kite": wanted.model_copy(update={"max_positions": 3}), "all": ScopeLimits(max_positions=2),
    }  # fmt: skip


async def test_wider_must_be_meant_and_a_repetition_changes_nothing(twin: MemoryGateway) -> None:
    once = {**asked({"max_positions": 3}), "command_id": "c7"}
    assert (await twin.command(**once))["status"] == "accepted"
    refused = await twin.command(**asked({"max_positions": 4}))
    assert [(one["field"], "would be wider, from 3 to 4" in one["problem"]) for one in refused["errors"]] == [
        ("data.limits.max_positions", True)
    ]
    assert (await twin.command(**asked({"max_positions": 2})))["status"] == "accepted"
    assert (await twin.command(**once))["status"] == "repeated"
    assert (await twin.command(**asked({"max_positions": 2})))["status"] == "repeated"
    assert await in_force(twin) == {"account kite": ScopeLimits(max_positions=2)}
    assert (await twin.command(**asked({"max_positions": None}, widen=True)))["status"] == "accepted"
    assert await in_force(twin) == {"account kite": ScopeLimits()}


@pytest.mark.parametrize(
    ("data", "field", "problem"),
    [
        ({"scope": "kite"}, "data.scope", 'must be "all", "account NAME"'),
        ({"scope": "account "}, "data.scope", "account NAME"),
        ({"scope": ["all"]}, "data.scope", "account NAME"),
        ({"limits": {"consecutive_losses_limit": 3}}, "data.limits.consecutive_losses_limit", "have no order"),
        ({"scope": "strategy orb"}, "data.scope", '"user NAME"'),
        ({"scope": "user "}, "data.scope", '"user NAME"'),
        ({"limits": {"risk_per_trade_pct": 1}}, "data.limits.risk_per_trade_pct", "it sizes one trade"),
        ({"limits": {"order_timeout_seconds": 9}}, "data.limits.order_timeout_seconds", "it is a session's"),
        ({"limits": {"max_leverag": 3}}, "data.limits.max_leverag", "did you mean 'max_leverage'"),
        (
            {"limits": {"safe_trading_end": "10:00", "safe_trading_start": "11:00"}},
            "data.limits.safe_trading_end",
            "is not after",
        ),
        ({"limits": {"max_positions": 0}}, "data.limits.max_positions", "greater than or equal to 1"),
        ({"strategy": "orb"}, "data.strategy", "leave it out"),
        ({"reason": ""}, "data.reason", "printable"),
        ({"else": 1}, "data.else", "unknown"),
    ],
)
async def test_what_is_no_change_is_refused_by_name(
    twin: MemoryGateway, data: dict[str, Any], field: str, problem: str
) -> None:
    command = asked({"max_positions": 3})
    reply = await twin.command(**{**command, "data": {**command["data"], **data}})
    assert reply["status"] == "rejected"
    said = {one["field"]: one["problem"] for one in reply["errors"]}
    assert problem in said[field]
    assert await in_force(twin) == {}


async def test_a_later_end_of_all_and_one_taken_away_are_wider_and_a_first_one_is_not(twin: MemoryGateway) -> None:
    first = await twin.command(**asked({"hard_trading_end": "15:00", "safe_trading_start": "09:30"}, scope="user 123"))
    assert first["status"] == "accepted", first
    assert (await twin.command(**asked({"hard_trading_end": "14:30"}, scope="user 123")))["status"] == "accepted"
    for wider in ({"hard_trading_end": "14:45"}, {"hard_trading_end": None}, {"safe_trading_start": "09:20"}):
        refused = await twin.command(**asked(wider, scope="user 123"))
        assert ["would be wider" in one["problem"] for one in refused["errors"]] == [True], wider
    assert await in_force(twin) == {"user 123": ScopeLimits(hard_trading_end="14:30", safe_trading_start="09:30")}
