"""Stops and exits that were committed and never left: whoever has their trade next knows, and sends them at once."""

import asyncio
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import pytest
from testkit.broker_life import LISTED, BrokerLife, opened
from testkit.execution_around import Around
from testkit.execution_books import MemoryHands, register
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBroker
from testkit.waiting import WALL_TIMERS

from services.execution.books import Books
from tradebus.bus.memory.bus import MemoryBus
from tradebus.contracts.orders import OrderRole
from tradebus.execution import lifecycle
from tradebus.execution.closing.takeover import take_share
from tradebus.execution.leaving import exits
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus
from tradebus.trading.states import OrderState, TradeState


async def commits_an_exit(books: Books, trade: Trade) -> None:
    """What a life commits that learns of its stop's end after an exit was asked for, and dies before it sends."""
    stop = trade.orders[-1]
    step = TradeStep()
    exits.request_exit(trade, step, reason="x", at_ns=TEN + 2 * SECOND)
    gone = BrokerOrder(
        stop.broker_order_id or "", stop.tag, "s1", trade.instrument, stop.transaction, BrokerStatus.CANCELLED,
        stop.quantity, 0, stop.trigger_paise, (), TEN + 2 * SECOND,
    )  # fmt: skip
    lifecycle.on_report(trade, stop, step, gone)
    await books.ledger.update_trade(trade, step)


@pytest.fixture
async def left_behind(around: Around) -> tuple[FakeBroker, Trade, Books]:
    """A position whose exit is committed, and nothing else."""
    broker = FakeBroker()
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    books, _ = await around.hands.life()
    [trade] = await around.hands.trades()
    await commits_an_exit(books, trade)
    await broker.book.cancel("s1", trade.orders[1].broker_order_id or "", at_ns=TEN + 2 * SECOND)
    broker.book.definitive = False  # what it lacks may still come, for all that it says
    return broker, trade, books


async def test_an_exit_that_never_left_is_sent_by_the_next_life_at_once(around: Around, left_behind) -> None:
    broker, _, _ = left_behind
    async with BrokerLife(around, broker) as life:
        await life.order("EXIT", "OPEN")
    assert [one.role for one in broker.book.requests] == [OrderRole.ENTRY, OrderRole.STOP, OrderRole.EXIT]


async def test_an_exit_of_what_was_closed_past_execution_meanwhile_is_never_sent(around: Around, left_behind) -> None:
    broker, trade, books = left_behind
    fill = BrokerFill("x1", trade.open_quantity, PRICE, TEN + 2 * SECOND)
    line = BrokerOrder(
        "b9", "tbkill", "s1", trade.instrument, trade.exit_transaction, BrokerStatus.FILLED, fill.quantity,
        fill.quantity, None, (fill,), TEN + 2 * SECOND,
    )  # fmt: skip
    step = TradeStep()
    take_share(trade, step, line, number=0, start=0, quantity=fill.quantity)
    await books.ledger.update_trade(trade, step)
    async with BrokerLife(around, broker) as life:
        await life.trade(state=TradeState.CLOSED)
    assert [one.role for one in broker.book.requests] == [OrderRole.ENTRY, OrderRole.STOP]


async def test_one_that_may_have_left_is_not_sent_before_its_absence_is_certain(around: Around, left_behind) -> None:
    broker, trade, books = left_behind
    assert await books.departures.leaves(trade, trade.orders[-1], at_ns=TEN + 2 * SECOND)
    async with BrokerLife(around, broker) as life:
        await life.time_passes(2)
        [leaving] = await life.orders(role=OrderRole.EXIT)
        assert leaving.state is OrderState.PENDING
        assert len(broker.book.requests) == 2
        broker.book.definitive = True
        await life.order("EXIT", "OPEN")


class GoesAway(MemoryDatabase):
    """Away for a moment after the next commit that changes a trade, as often as `times` says."""

    times = 0

    def apply(self, writes: Mapping[str, Mapping[Hashable, Any]]) -> None:
        super().apply(writes)
        if self.times and writes.get("trades"):
            self.times -= 1
            self.go_away()
            asyncio.get_running_loop().call_later(0.05, self.come_back)


async def test_a_recovery_that_the_book_leaves_in_the_middle_is_begun_again(tmp_path: Path) -> None:
    hands, broker, database = MemoryHands(), FakeBroker(), GoesAway()
    hands.database, hands.book = database, MemoryBook(database, producer="test-1")
    around = Around(hands, bus=MemoryBus(paced=False, timers=WALL_TIMERS), state_dir=tmp_path)
    await register(around.book, *LISTED)
    async with BrokerLife(around, broker) as life:
        await life.started(spec())
        await opened(life, broker, approval(1))
    books, _ = await hands.life()
    [trade] = await hands.trades()
    await commits_an_exit(books, trade)
    await broker.book.cancel("s1", trade.orders[1].broker_order_id or "", at_ns=TEN + 2 * SECOND)
    broker.book.definitive = False
    database.times = 2  # taken up, and gone before it is known whether the exit has left

    async def sent() -> bool:
        return broker.book.requests[-1].role is OrderRole.EXIT

    async with BrokerLife(around, broker, feed_behind_seconds=0.1) as life:  # no tick says that time passes
        await life.until(sent, seconds=15)
    assert database.times == 0


async def test_a_process_that_wakes_after_its_trade_was_taken_over_sends_nothing(around: Around, left_behind) -> None:
    broker, trade, books = left_behind
    stale = trade
    async with BrokerLife(around, broker) as life:
        await life.order("EXIT", "OPEN")
        stale.owner = "execution-9"
        assert not await books.departures.leaves(stale, stale.orders[-1], at_ns=TEN + 3 * SECOND)
