"""Bugs that are planted into execution here, and never by a switch of the product: the drill finds each in time."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.drill import drilled

from services.cli.drill.exchange import network
from services.cli.drill.exchange.desk_orders import DeskOrders
from services.cli.drill.running.invariants import Invariant
from services.cli.drill.running.play import DrillResult
from services.cli.drill.seeds import play_seed
from services.execution.trades.pulse import Pulse
from tradebus.brokers.common.orders.lookup import BookReader
from tradebus.brokers.errors import BrokerError
from tradebus.execution import lifecycle, opening
from tradebus.execution.step import Modify, TradeStep
from tradebus.execution.trade import Trade
from tradebus.trading.orders import Lookup, OrderRequest, Outcome, Result

__all__ = ["drilled"]
_RUNS_MAX = 1_000


def found(folder: Path, *, first: int = 1) -> Iterator[DrillResult]:
    """The runs that violate something, among a thousand seeds. `first` is chosen so that one comes soon."""
    for seed in range(first, first + _RUNS_MAX):
        result = play_seed(seed, state_dir=folder)
        if result.violations:
            yield result


def invariants(result: DrillResult) -> set[Invariant]:
    return {one.invariant for one in result.violations}


def test_an_order_that_is_sent_again_after_a_timeout_is_found(drilled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = DeskOrders.place

    async def placed_twice(self: DeskOrders, request: OrderRequest) -> Outcome:
        outcome = await place(self, request)
        return await place(self, request) if outcome.result is Result.UNKNOWN else outcome

    monkeypatch.setattr(DeskOrders, "place", placed_twice)
    result = next(found(drilled))
    assert Invariant.DUPLICATE_ORDERS in invariants(result)


def test_a_stop_that_does_not_grow_with_its_position_is_found(drilled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    protect = lifecycle.protect

    def protected_once(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
        protect(trade, step, at_ns=at_ns)
        step.requests[:] = [one for one in step.requests if not isinstance(one, Modify)]

    monkeypatch.setattr(lifecycle, "protect", protected_once)
    result = next(found(drilled, first=116))
    assert Invariant.UNPROTECTED in invariants(result)


def test_absence_that_is_concluded_from_a_network_error_is_found(
    drilled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def looked_up(self: DeskOrders, account: str, tag: str) -> Lookup:
        try:
            lines, _ = await self.lines()
        except BrokerError:
            return Lookup(None, definitive=True)
        line = next((one for one in lines if tag in one.tags), None)
        if line is None:
            return Lookup(None, definitive=True)
        return Lookup(self.report(account, line, await self.fills(line.order_id)), definitive=True)

    monkeypatch.setattr(BookReader, "find_by_tag", looked_up)
    result = next(found(drilled, first=600))
    assert invariants(result) & {Invariant.DUPLICATE_ORDERS, Invariant.STOPPED_WITH_ORDERS, Invariant.BOOKS_DIFFER}


def test_a_second_owner_after_a_pause_is_found(drilled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # All fences are down: that it was silent, that another has the trade, that what was asked for long ago stays here.
    async def leaves(*_: object, **__: object) -> bool:
        return True

    monkeypatch.setattr(Pulse, "leaves", leaves)
    monkeypatch.setattr(Pulse, "is_silent", False)
    monkeypatch.setattr(network, "LATE_NS", 10**15)
    result = next(found(drilled, first=115))
    assert Invariant.DUPLICATE_ORDERS in invariants(result)


def test_a_stop_at_the_market_for_an_option_is_found(drilled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "stop_limit_paise", lambda *_, **__: None)
    result = next(found(drilled))
    assert Invariant.FORBIDDEN in invariants(result)
