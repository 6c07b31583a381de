"""Approved entries at a broker that come together: each is opened and sent once, and what comes behind them finds
them in the book."""

import asyncio
from collections import Counter

import pytest
from testkit.broker_life import BrokerLife
from testkit.execution_brokers import TEN, approval, exit_of, spec
from testkit.fake_broker import FakeBroker

from services.execution.books.memory import MemoryLedger
from tradebus.store.memory_book import MemoryBook
from tradebus.trading.states import OrderState, TradeState

ENTRIES = [approval(number, at_ns=TEN + number) for number in range(1, 13)]


def placed(broker: FakeBroker) -> Counter[str]:
    """How often each tag was placed."""
    return Counter(request.tag for request in broker.book.requests)


async def all_rest(life: BrokerLife, broker: FakeBroker) -> None:
    await life.until_orders(len(ENTRIES), state=OrderState.OPEN)
    assert sorted(one.pos_id for one in await life.trades()) == sorted(one.pos_id for one in ENTRIES)
    assert list(placed(broker).values()) == [1] * len(ENTRIES)


async def all_are_certain(life: BrokerLife, broker: FakeBroker) -> None:
    """Each is opened, and was sent once or never will be: what was opened and perhaps not sent when nobody remembers it
    any more is not sent again, for nobody knows how old its occasion is by then."""

    async def certain():
        trades = [one for one in await life.trades() if one.ended or one.entry_order().state is OrderState.OPEN]
        return trades if len(trades) == len(ENTRIES) else []

    trades = await life.until(certain, seconds=60)
    assert {one.pos_id for one in trades} == {one.pos_id for one in ENTRIES}
    assert placed(broker) == Counter({one.entry_order().tag: 1 for one in trades if not one.ended})


async def test_entries_of_one_moment_are_each_opened_and_sent_once(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await life.started(spec())
        await life.send(*ENTRIES)
        await all_rest(life, broker)
        await life.send(*ENTRIES)  # again: taken already
        await life.send(approval(99, at_ns=TEN + 99))
        await life.until_orders(len(ENTRIES) + 1, state=OrderState.OPEN)
        assert list(placed(broker).values()) == [1] * (len(ENTRIES) + 1)


async def test_an_exit_behind_its_entry_finds_it(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await life.started(spec())
        first, second = ENTRIES[:2]
        await life.send(first, second, exit_of(second, at_ns=TEN + 50))

        async def ended():
            return [one for one in await life.trades(pos_id=second.pos_id) if one.ended]

        (trade,) = await life.until(ended)
        assert trade.state in (TradeState.CANCELLED, TradeState.REJECTED)
        await life.until_orders(1, state=OrderState.OPEN)


@pytest.mark.parametrize("trouble", ["away", "answers lost"])
async def test_a_book_in_trouble_while_they_are_opened_costs_none_and_sends_none_twice(around, trouble) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await life.started(spec())
        assert isinstance(around.book, MemoryBook)
        if trouble == "away":
            around.book.database.go_away()
        else:
            around.book.database.lose_answers(3)
        await life.send(*ENTRIES)
        if trouble == "away":
            await life.time_passes(0.3)
            around.book.database.come_back()
            await all_rest(life, broker)
        else:
            await all_are_certain(life, broker)


async def test_one_that_nobody_can_open_keeps_no_other_from_being_opened(around) -> None:
    """Of an instrument that nobody has registered."""
    broker = FakeBroker()
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await life.started(spec())
        nobodys = approval(50, at_ns=TEN + 50).model_copy(update={"instrument": 4_321})
        await life.send(*ENTRIES[:6], nobodys, *ENTRIES[6:])
        await all_rest(life, broker)


async def test_a_life_that_ends_among_them_leaves_the_rest_to_the_next(around) -> None:
    broker = FakeBroker()
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await life.started(spec())
        await life.send(*ENTRIES)
        await life.order("ENTRY", "OPEN")
    async with BrokerLife(around, broker, reconcile_seconds=60, order_limit_scale=100) as life:
        await all_are_certain(life, broker)


async def test_housekeeping_that_looked_before_they_were_opened_forgets_none(around, monkeypatch) -> None:
    """What the book answers may be older than what was opened while it answered."""
    alive = MemoryLedger.alive

    async def slowly(ledger: MemoryLedger, owner: str) -> dict[str, str]:
        found = await alive(ledger, owner)
        await asyncio.sleep(0.03)  # longer than it takes to open one: its answer is older than that
        return found

    monkeypatch.setattr(MemoryLedger, "alive", slowly)
    broker = FakeBroker()
    beginning = BrokerLife(around, broker, reconcile_seconds=60)  # entries wait for their second
    beginning.settings["EXECUTION_HOUSEKEEPING_SECONDS"] = 0.01
    async with beginning as life:
        await life.started(spec())
        for entry in ENTRIES:
            await life.send(entry)
            await life.time_passes(0.02)
        await all_rest(life, broker)
