"""An instance that is stopped in the middle of a slow request, whose trade another takes over, and that wakes.

Each order is at the broker once, whichever of the two hears its answer, and whether the request had arrived by then.
"""

import asyncio
from collections.abc import Callable

import pytest
from testkit.broker_life import BrokerLife
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.contracts.orders import OrderRole
from tradebus.kernel.clock import WallClock
from tradebus.kernel.timers import Timer
from tradebus.trading.orders import BrokerStatus, OrderRequest, Outcome
from tradebus.trading.states import OrderState, TradeState
from tradebus.waiting.timers import WallTimers


class Pausable(WallTimers):
    """A process's timers: while it is stopped nothing of it is due."""

    def __init__(self) -> None:
        super().__init__(WallClock())
        self._is_stopped, self._held = False, list[Callable[[], None]]()

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return super().after(seconds, lambda: self._held.append(call) if self._is_stopped else call())

    def stop(self) -> None:
        self._is_stopped = True

    def wake(self) -> None:
        self._is_stopped = False
        held, self._held = self._held, []
        for call in held:
            call()


class SlowWire(FakeBook):
    """The way of one instance to the broker's book: the request of an order of this role is on it until `released`;
    with `has_arrived` only its answer is."""

    def __init__(self, at_broker: FakeBook, role: OrderRole, *, has_arrived: bool) -> None:
        super().__init__()
        self.orders, self.requests = at_broker.orders, at_broker.requests
        self._role, self._has_arrived = role, has_arrived
        self.asked, self.released = False, asyncio.Event()

    async def place(self, request: OrderRequest) -> Outcome:
        if request.role is not self._role:
            return await super().place(request)
        self.asked = True
        if self._has_arrived:
            outcome = await super().place(request)
            await self.released.wait()
            return outcome
        await self.released.wait()
        return await super().place(request)


@pytest.mark.parametrize("has_arrived", [True, False])
@pytest.mark.parametrize("role", [OrderRole.ENTRY, OrderRole.STOP])
async def test_each_order_is_at_the_broker_once(around, role: OrderRole, has_arrived: bool) -> None:
    mine, others, timers, entry = FakeBroker(), FakeBroker(), Pausable(), approval(1)
    mine.book = wire = SlowWire(others.book, role, has_arrived=has_arrived)
    others.book.definitive = wire.definitive = False  # as long as the request may still arrive no silence says anything
    stopped, other = BrokerLife(around, mine, timers=timers), BrokerLife(around, others)
    for life in (stopped, other):
        life.settings["EXECUTION_ORPHAN_SECONDS"] = 0.5
    other.settings["instance"] = "2"

    async def is_asked() -> bool:
        return wire.asked

    async def is_taken_over() -> bool:
        return [one.owner for one in await other.trades()] == ["execution-2"]

    async with stopped:
        await stopped.started(spec())
        await stopped.send(entry)
        if role is OrderRole.STOP:
            bought = await stopped.order("ENTRY", "OPEN")
            mine.tell(others.book.fill(bought.broker_order_id, PRICE, at_ns=TEN + SECOND))
        await stopped.until(is_asked)
        timers.stop()
        async with other:
            await other.until(is_taken_over)
            wire.released.set()
            timers.wake()
            if role is OrderRole.ENTRY:
                bought = await other.order("ENTRY", "OPEN")
                others.tell(others.book.fill(bought.broker_order_id, PRICE, at_ns=TEN + SECOND))
            await other.order("STOP", "TRIGGER_PENDING")
            await other.time_passes(1.5)  # looks of both at the broker's book, and whatever they would do about it
            [trade] = await other.trades()
            orders = [(one.role, one.state, one.filled_quantity) for one in trade.orders]
    assert [(one.role, one.quantity) for one in others.book.requests] == [(OrderRole.ENTRY, 65), (OrderRole.STOP, 65)]
    assert orders == [
        (OrderRole.ENTRY, OrderState.FILLED, 65), (OrderRole.STOP, OrderState.TRIGGER_PENDING, 0),
    ]  # fmt: skip
    assert trade.exit_reason is None


async def test_an_entry_that_leaves_when_its_trade_is_over_is_cancelled_told_and_never_a_second_one(around) -> None:
    mine, others, timers, entry = FakeBroker(), FakeBroker(), Pausable(), approval(1)
    mine.book = wire = SlowWire(others.book, OrderRole.ENTRY, has_arrived=False)
    stopped, other = BrokerLife(around, mine, timers=timers), BrokerLife(around, others)
    for life in (stopped, other):
        life.settings["EXECUTION_ORPHAN_SECONDS"] = 0.5
    other.settings["instance"] = "2"

    async def is_asked() -> bool:
        return wire.asked

    async def is_cancelled() -> bool:
        return [one.status for one in others.book.orders.values()] == [BrokerStatus.CANCELLED]

    async with stopped:
        await stopped.started(spec())
        await stopped.send(entry)
        await stopped.until(is_asked)
        timers.stop()
        async with other:
            await other.trade(pos_id=entry.pos_id, state=TradeState.CANCELLED)  # its absence was certain
            wire.released.set()
            timers.wake()
            await other.until(is_cancelled)
            await other.time_passes(1)
            [trade] = await other.trades()
    assert (len(others.book.requests), trade.state, trade.entry_quantity) == (1, TradeState.CANCELLED, 0)
    told = [one.action for message in await around.told("RECONCILED") for one in message.differences]
    told += [one.action for message in await around.told("RECONCILE_MISMATCH") for one in message.differences]
    assert any("cancelled" in action for action in told), told
