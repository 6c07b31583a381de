"""SET_LIMITS: what changes, what is refused by name, what is audited and told."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.gateway import START, MemoryGateway

from services.gateway.domain.limit_changes import decide_limits, read_limits_asked
from services.gateway.domain.problems import Problems
from tradebus.contracts.commands import SetLimits
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import Mode, RiskLimits, ScopeLimits, SessionSpec
from tradebus.risk.rules.widening import FIXED, widens
from tradebus.store.books import limit_changes_book

WHO = {"by": "asha", "reason": "a bad morning"}


def asked(limits: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"action": "SET_LIMITS", "user_id": "123", "data": {**WHO, "limits": limits, **more}}


async def set_limits(twin: MemoryGateway) -> list[SetLimits]:
    return [
        message for entry in await twin.commands() if isinstance(message := parse(entry.body), SetLimits)
    ]  # fmt: skip


async def refused(twin: MemoryGateway, command: dict[str, Any]) -> dict[str, str]:
    """What is said of a command that changes nothing."""
    before = await twin.commands()
    reply = await twin.command(**command)
    assert reply["status"] == "rejected", reply
    assert await twin.commands() == before
    return {one["field"]: one["problem"] for one in reply["errors"]}


async def test_a_change_is_told_to_risk_audited_and_said_to_everybody(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    reply = await twin.command(**asked({"daily_max_loss": "5000.50", "max_concurrent_trades": 2}))
    assert (reply["status"], reply["session_id"]) == ("accepted", session_id)
    (told,) = await set_limits(twin)
    assert told.session_id == session_id
    assert told.limits == RiskLimits(daily_max_loss_paise=500_050, max_concurrent_trades=2)
    kept = await limit_changes_book(twin.book).of_session(session_id)
    assert [(one.field, one.before, one.after, one.widens) for one in kept] == [
        ("daily_max_loss_paise", None, 500_050, False), ("max_concurrent_trades", 3, 2, False),
    ]  # fmt: skip
    assert {(one.changed_by, one.reason, one.user_id) for one in kept} == {("asha", "a bad morning", "123")}
    event = await twin.event("LIMITS_CHANGED")
    assert (event["changed_by"], event["reason"], event["session_id"]) == ("asha", "a bad morning", session_id)
    assert event["changes"][0] == {
        "strategy": None, "field": "daily_max_loss", "before": "none", "after": "₹5,000.50", "widens": False,
    }  # fmt: skip


async def test_changes_stand_on_each_other(twin: MemoryGateway) -> None:
    await twin.started()
    await twin.command(**asked({"max_concurrent_trades": 2}))
    await twin.command(**asked({"cooldown_seconds": 400}))
    last = (await set_limits(twin))[-1].limits
    assert (last.max_concurrent_trades, last.cooldown_seconds) == (2, 400)


async def test_nothing_is_widened_without_saying_so(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    wider = {"max_concurrent_trades": 4, "daily_max_loss_pct": None, "cooldown_seconds": 10, "max_leverage": 1.5}
    errors = await refused(twin, asked(wider))
    assert set(errors) == {f"data.limits.{name}" for name in wider if name != "max_leverage"}
    assert errors["data.limits.max_concurrent_trades"] == (
        'would be wider, from 3 to 4: say "widen": true if that is meant'
    )
    reply = await twin.command(**asked(wider, widen=True))
    assert reply["status"] == "accepted"
    kept = await limit_changes_book(twin.book).of_session(session_id)
    assert {one.field: one.widens for one in kept} == {
        "max_concurrent_trades": True, "daily_max_loss_pct": True, "cooldown_seconds": True, "max_leverage": False,
    }  # fmt: skip


async def test_a_strategys_limits_change_alone(twin: MemoryGateway) -> None:
    await twin.started()
    reply = await twin.command(**asked({"daily_max_loss": 100}, strategy="orb"))
    assert reply["status"] == "accepted"
    (told,) = await set_limits(twin)
    assert told.limits == RiskLimits()
    own = ScopeLimits(daily_max_loss_paise=10_000)
    assert [(one.strategy, one.limits) for one in told.strategies] == [("orb", own)]
    errors = await refused(twin, asked({"daily_max_loss": 100}, strategy="orbb"))
    assert "did you mean 'orb'?" in errors["data.strategy"]


async def test_what_holds_already_and_what_is_repeated_changes_nothing(twin: MemoryGateway) -> None:
    await twin.started()
    assert (await twin.command(**asked({"max_concurrent_trades": 3})))["status"] == "repeated"
    once = {**asked({"max_concurrent_trades": 2}), "command_id": "c7"}
    assert (await twin.command(**once))["status"] == "accepted"
    assert (await twin.command(**asked({"max_concurrent_trades": 1})))["status"] == "accepted"
    assert (await twin.command(**once))["status"] == "repeated"
    assert [one.limits.max_concurrent_trades for one in await set_limits(twin)] == [2, 1]


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "data.limits", "is missing"),
    ({"limits": {}}, "data.limits", "with a limit or more"),
    ({"limits": 5}, "data.limits", "must be an object"),
    ({"limits": {"daily_max_los": 5}}, "data.limits.daily_max_los", "did you mean 'daily_max_loss'?"),
    ({"limits": {"daily_max_loss": -5}}, "data.limits.daily_max_loss", "must be above 0"),
    ({"limits": {"max_concurrent_trades": None}}, "data.limits.max_concurrent_trades", "valid integer"),
    ({"limits": {"hard_trading_end": "14:00"}}, "data.limits.hard_trading_end", "execution holds to it too"),
    (
        {"limits": {"safe_trading_end": "10:00", "safe_trading_start": "11:00"}, "widen": True},
        "data.limits.safe_trading_end",
        "not after",
    ),
    ({"limits": {"max_positions": 1}, "by": ""}, "data.by", "1 to 64 printable"),
    ({"limits": {"max_positions": 1}, "by": 5}, "data.by", "must be text"),
    ({"limits": {"max_positions": 1}, "reason": "x" * 201}, "data.reason", "1 to 200"),
    ({"limits": {"max_positions": 1}, "widen": "yes"}, "data.widen", "true or false"),
    ({"limits": {"max_positions": 1}, "strategy": 5}, "data.strategy", "must be a strategy's name"),
    ({"limits": {"max_positions": 1}, "colour": 5}, "data.colour", "unknown field"),
]


@pytest.mark.parametrize(("data", "field", "problem"), BAD)
async def test_a_bad_change_is_refused_by_its_field(
    twin: MemoryGateway, data: dict[str, Any], field: str, problem: str
) -> None:
    await twin.started()
    errors = await refused(twin, {"action": "SET_LIMITS", "user_id": "123", "data": {**WHO, **data}})
    assert problem in errors[field]


async def test_who_and_why_are_asked_for(twin: MemoryGateway) -> None:
    await twin.started()
    errors = await refused(twin, {"action": "SET_LIMITS", "user_id": "123", "data": {"limits": {"max_positions": 1}}})
    assert set(errors) == {"data.by", "data.reason"}


async def test_there_must_be_a_session_that_does_not_stop(twin: MemoryGateway) -> None:
    assert "START_TRADING" in (await refused(twin, asked({"max_positions": 1})))["user_id"]
    await twin.started()
    await twin.command(action="STOP_TRADING", user_id="123")
    assert "START_TRADING" in (await refused(twin, asked({"max_positions": 1})))["user_id"]


async def test_a_repeated_start_is_a_repetition_also_after_its_limits_changed(twin: MemoryGateway) -> None:
    session_id = await twin.started()
    await twin.command(**asked({"max_concurrent_trades": 2}))
    again = await twin.command(**START)
    assert (again["status"], again["session_id"]) == ("repeated", session_id)


def decided(
    limits: dict[str, Any], *, widen: bool = True, mode: Mode = Mode.PAPER, desk_r: float | None = None,
    held: RiskLimits | None = None,
) -> tuple[Any, dict[str, str]]:  # fmt: skip
    spec = SessionSpec(
        session_id="s",
        user_id="u",
        symbols=("TCS",),
        capital_paise=1,
        mode=mode,
        strategies=({"name": "orb"},),
    )
    problems = Problems()
    wanted = read_limits_asked({**WHO, "limits": limits, "widen": widen}, problems)
    assert wanted is not None
    found = decide_limits(
        wanted, spec=spec, limits=held or RiskLimits(), strategies={}, desk_r=desk_r, problems=problems
    )
    return found, {one.field: one.problem for one in problems.errors}


def test_a_live_session_keeps_a_days_limit_in_r_within_the_desks() -> None:
    held = RiskLimits(daily_max_loss_r=2.0)
    at = "data.limits.daily_max_loss_r"
    for mode in (Mode.LIVE, Mode.DRY_RUN):
        assert "cannot be taken away" in decided({"daily_max_loss_r": None}, mode=mode, held=held)[1][at]
    assert "at most 3" in decided({"daily_max_loss_r": 4}, mode=Mode.LIVE, held=held, desk_r=3.0)[1][at]
    assert decided({"daily_max_loss_r": 3}, mode=Mode.LIVE, held=held, desk_r=3.0)[1] == {}
    assert decided({"daily_max_loss_r": None}, held=held)[1] == {}


VALUES = {
    "daily_max_loss": st.none() | st.integers(1, 10**6), "max_concurrent_trades": st.integers(1, 9),
    "cooldown_seconds": st.integers(0, 900), "order_min_interval_ms": st.none() | st.integers(1, 900),
    "max_leverage": st.integers(1, 9).map(float), "max_lots_per_trade": st.none() | st.integers(1, 9),
    "safe_trading_start": st.none() | st.sampled_from(["09:30", "10:00"]), "hard_trading_end": st.just("15:00"),
}  # fmt: skip


@given(st.data(), st.booleans())
def test_nothing_is_ever_wider_than_said_and_what_was_asked_for_holds(data: st.DataObject, widen: bool) -> None:
    names = data.draw(st.sets(st.sampled_from(sorted(VALUES)), min_size=1))
    limits = {name: data.draw(VALUES[name]) for name in sorted(names)}
    held = RiskLimits(daily_max_loss_paise=30_000, max_lots_per_trade=4, order_min_interval_ms=100)
    found, errors = decided(json.loads(json.dumps(limits)), widen=widen, held=held)
    if found is None:
        assert set(errors) <= {f"data.limits.{name}" for name in limits}
        return
    assert not set(limits) & FIXED
    for name in RiskLimits.model_fields:
        before, after = getattr(held, name), getattr(found.limits, name)
        said = limits.get(name.removesuffix("_paise"), ...)
        assert (after == before) if said is ... else after in (said, said and said * 100)
        assert widen or after == before or not widens(name, before, after)
