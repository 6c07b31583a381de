"""An account that trades all the time: a fill that comes between two readings of a broker's books is no dispute."""

import pytest
from testkit.execution_brokers import PRICE, SECOND, TEN, approval, exit_of, trading
from testkit.execution_service import messages, until
from testkit.fake_broker import FakeBook, FakeBroker

from tradebus.brokers.account import NetPosition
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.trading.orders import BrokerStatus

pytestmark = pytest.mark.usefixtures("listed")
_ROW = "SELECT * FROM orders WHERE pos_id = $1 AND role = $2 AND state = $3"


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

    await until(looked, life)


async def round_trip(life, broker, entry) -> None:
    await life.send(entry)
    number = (await life.one(_ROW, entry.pos_id, "ENTRY", "OPEN"))["broker_order_id"]
    broker.book.fills_next = number
    await look(life, broker)
    broker.tell(broker.book.orders[number])
    stop = (await life.one(_ROW, entry.pos_id, "STOP", "TRIGGER_PENDING"))["broker_order_id"]
    await life.send(exit_of(entry, at_ns=TEN + 2 * SECOND))

    async def cancelled():
        return broker.book.orders[stop].status is BrokerStatus.CANCELLED

    await until(cancelled, life)
    broker.tell(broker.book.orders[stop])
    leaving = (await life.one(_ROW, entry.pos_id, "EXIT", "OPEN"))["broker_order_id"]
    broker.tell(broker.book.fill(leaving, PRICE, at_ns=TEN + 3 * SECOND))
    await life.one("SELECT 1 FROM trades WHERE pos_id = $1 AND state = 'CLOSED'", entry.pos_id)


async def test_the_same_difference_at_every_look_is_none_where_there_was_trading_between_them(where, tmp_path) -> None:
    broker = FakeBroker()
    broker.book = FillingBook()
    async with trading(where, tmp_path, broker, reconcile_seconds=3600) as life:
        for number in range(1, 5):
            await round_trip(life, broker, approval(number, at_ns=TEN + number * SECOND))
        assert [one for one in await messages(life.bus) if one.TYPE == "RECONCILE_MISMATCH"] == []
