"""An account that trades all the time: a fill that comes between two readings of a broker's books is no dispute."""

from testkit.broker_life import trading
from testkit.execution_brokers import PRICE, SECOND, TEN, approval
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.brokers.account import NetPosition
from tradebus.brokers.feed import FeedEvent, FeedEventKind


class FillingBook(FakeBook):
    """An order is filled at the moment at which the positions are read, and its fill told later."""

    def __init__(self) -> None:
        super().__init__()
        self.fills_next = ""

    def positions(self) -> list[NetPosition]:
        if self.fills_next:
            self.fill(self.fills_next, PRICE, at_ns=TEN + SECOND)
            self.fills_next = ""
        return super().positions()


async def look(life, broker) -> None:
    """Has the books read, with a fill that our ledger hears of only afterwards."""
    broker.tell(FeedEvent(FeedEventKind.CONNECTED, "again"))

    async def looked():
        return not broker.book.fills_next

    await life.until(looked)


async def round_trip(life, broker, entry) -> None:
    await life.send(entry)
    number = (await life.order("ENTRY", "OPEN", of=entry)).broker_order_id
    broker.book.fills_next = number
    await look(life, broker)
    broker.tell(broker.book.orders[number])
    await life.leave(broker, entry)


async def test_the_same_difference_at_every_look_is_none_where_there_was_trading_between_them(around) -> None:
    broker = FakeBroker()
    broker.book = FillingBook()
    async with trading(around, broker, reconcile_seconds=3600) as life:
        for number in range(1, 5):
            await round_trip(life, broker, approval(number, at_ns=TEN + number * SECOND))
        assert await around.told("RECONCILE_MISMATCH") == []
