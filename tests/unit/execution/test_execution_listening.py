"""What an order stream does, in opening, speaking and closing, is its account's own affair, and one order's its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from testkit.broker_life import BrokerLife, opened, trading
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, spec
from testkit.fake_broker import FakeBook, FakeBroker, FakeUpdates

from tradebus.brokers.feed import FeedEvent
from tradebus.trading.orders import BrokerOrder, Lookup


class Ending(FakeUpdates):
    """A stream that ends at once, and not in order."""

    def __init__(self, broker: "Unruly") -> None:
        super().__init__()
        self._broker = broker

    async def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        return
        yield

    async def close(self) -> None:
        self._broker.times += 1
        raise RuntimeError("not open")


class Unruly(FakeBroker):
    """Its streams cannot be opened, or not be closed, as `word` says; how often that was so."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word, self.times = word, 0

    def updates(self, known: object) -> FakeUpdates:
        if self.word == "opening":
            self.times += 1
            raise RuntimeError("no such stream")
        return Ending(self)


@pytest.mark.parametrize("word", ["opening", "closing"])
async def test_a_stream_that_opens_or_closes_with_an_error_is_opened_again_and_ends_no_account(around, word) -> None:
    broker, other, entry = Unruly(word), FakeBroker("dhan"), approval(1, session="s2")
    async with BrokerLife(around, broker, other) as life:
        await life.started(spec("s1"))
        await life.started(spec("s2", broker="dhan", credential="dhan"))

        async def again() -> bool:
            return broker.times >= 2

        await life.until(again)
        await opened(life, other, entry)


class SlowBook(FakeBook):
    """Nobody is answered who looks this tag up."""

    hanging = ""

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        if tag == self.hanging:
            await asyncio.Event().wait()
        return await super().find_by_tag(account, tag)


async def test_a_look_up_that_hangs_for_one_order_holds_up_no_other_orders_fill(around) -> None:
    broker = FakeBroker()
    broker.book = book = SlowBook()
    async with trading(around, broker, reconcile_seconds=3600) as life:
        await life.send(first := approval(1), second := approval(2))
        slow, quick = [await life.order("ENTRY", "OPEN", of=one) for one in (first, second)]
        book.hanging = slow.tag
        for order in (slow, quick):
            filled = book.fill(order.broker_order_id or "", PRICE, at_ns=TEN + SECOND)
            broker.tell(replace(filled, fills=()))  # as Kite and Dhan tell it: what it was filled at is looked up
        await life.order("STOP", "TRIGGER_PENDING", of=second)
        assert not await life.orders(of=first, role="STOP")
