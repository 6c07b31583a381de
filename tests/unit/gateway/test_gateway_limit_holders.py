"""The whole table at the gateway: every limit is taken from START, SET_LIMITS and SET_SHARED_LIMITS, or refused by name
with the reason."""

from typing import Any

import pytest
from testkit.gateway import START, MemoryGateway

from tradebus.contracts.commands import SetLimits
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import RiskLimits, ScopeLimits
from tradebus.risk.rules.holders import SHARED, LimitHolder, limits_held_by, why_not_held
from tradebus.store.books import sessions_book, shared_limits_book

_TIMES = {"safe_trading_start": "09:30", "safe_trading_end": "14:00", "hard_trading_end": "15:00"}
_SCOPES = {LimitHolder.USER: "user 123", LimitHolder.ACCOUNT: "account kite", LimitHolder.ALL: "all"}


def given(name: str) -> Any:
    """A value that narrows whatever holds, as a person writes it."""
    if name in _TIMES:
        return _TIMES[name]
    return 0.5 if RiskLimits.model_fields[name].annotation in (float, float | None) else 1


def every(holder: LimitHolder) -> dict[str, Any]:
    """All that can be set there: by the names that people use, and as the contract has it."""
    return {name.removesuffix("_paise"): given(name) for name in limits_held_by(holder) if name != "cooldown_seconds"}


def stored(holder: LimitHolder) -> dict[str, Any]:
    return {
        name: 100 if name.endswith("_paise") else given(name)
        for name in limits_held_by(holder) if name != "cooldown_seconds"
    }  # fmt: skip


async def test_start_takes_every_limit_of_a_session_and_of_a_strategy(twin: MemoryGateway) -> None:
    strategy = {"name": "orb", "limits": every(LimitHolder.STRATEGY)}
    data = {**START["data"], "limits": every(LimitHolder.SESSION), "strategies": [strategy]}
    reply = await twin.command(**{**START, "data": data})
    assert reply["status"] == "accepted", reply
    spec = (await sessions_book(twin.book).specs([reply["session_id"]]))[reply["session_id"]]
    assert spec.limits == RiskLimits(**stored(LimitHolder.SESSION))
    assert spec.strategies[0].limits == ScopeLimits(**stored(LimitHolder.STRATEGY))


@pytest.mark.parametrize("holder", [LimitHolder.SESSION, LimitHolder.STRATEGY])
async def test_set_limits_takes_every_one_but_the_hard_end_that_execution_holds_to(
    twin: MemoryGateway, holder: LimitHolder
) -> None:
    await twin.started()
    of = {"strategy": "orb"} if holder is LimitHolder.STRATEGY else {}
    about = {"by": "asha", "reason": "as agreed", "widen": True, **of}
    command = {"action": "SET_LIMITS", "user_id": "123", "data": {**about, "limits": every(holder)}}
    refused = await twin.command(**command)
    assert [one["field"] for one in refused["errors"]] == ["data.limits.hard_trading_end"]
    limits = {name: value for name, value in every(holder).items() if name != "hard_trading_end"}
    assert (await twin.command(**{**command, "data": {**about, "limits": limits}}))["status"] == "accepted"
    told = parse((await twin.commands())[-1].body)
    assert isinstance(told, SetLimits)
    held = told.limits if holder is LimitHolder.SESSION else told.strategies[0].limits
    assert held == type(held)(**{**stored(holder), "hard_trading_end": None})


@pytest.mark.parametrize("holder", SHARED)
async def test_set_shared_limits_takes_every_one_that_means_something(twin: MemoryGateway, holder: LimitHolder) -> None:
    data = {"scope": _SCOPES[holder], "limits": every(holder), "by": "asha", "reason": "as agreed"}
    reply = await twin.command(action="SET_SHARED_LIMITS", data=data)
    assert reply["status"] == "accepted", reply
    book = shared_limits_book(twin.book)
    assert {scope: row.limits for scope, row in (await book.rows()).items()} == {
        _SCOPES[holder]: ScopeLimits(**stored(holder))
    }
    assert {one.field for one in await book.changes()} == set(stored(holder))


@pytest.mark.parametrize(
    ("name", "holder"),
    [(name, holder) for name in RiskLimits.model_fields for holder in LimitHolder if why_not_held(name, holder)],
)
async def test_what_means_nothing_there_is_refused_with_the_reason(
    twin: MemoryGateway, name: str, holder: LimitHolder
) -> None:
    await twin.started()
    data: dict[str, Any] = {"limits": {name: given(name)}, "by": "asha", "reason": "as agreed"}
    if holder is LimitHolder.STRATEGY:
        reply = await twin.command(action="SET_LIMITS", user_id="123", data={**data, "strategy": "orb"})
    else:
        reply = await twin.command(action="SET_SHARED_LIMITS", data={**data, "scope": _SCOPES[holder]})
    assert [(one["field"], one["problem"]) for one in reply["errors"]] == [
        (f"data.limits.{name}", why_not_held(name, holder))
    ]
