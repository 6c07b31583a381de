"""Kite's order book: what it says of an order, and when a tag that it lacks is absent for certain."""

import asyncio
import threading

import pytest
from testkit.kite_orders import NOW_NS, PLACE, TAG, make, request, row
from testkit.kite_server import refusal
from testkit.scripted_server import HTML, Reply, success

from tradebus.kernel.time import datetime_to_ns, ist_datetime
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, Result


def trade(number: int, quantity: int, price: float, **changes) -> dict:
    fields = {
        "trade_id": str(number), "order_id": "261125000000001", "exchange": "NSE", "tradingsymbol": "INFY",
        "instrument_token": 408065, "product": "MIS", "average_price": price, "quantity": quantity,
        "exchange_order_id": "1100000000000001", "transaction_type": "BUY", "fill_timestamp": "2026-11-25 10:00:02",
        "order_timestamp": "10:00:00", "exchange_timestamp": "2026-11-25 10:00:02",
    }  # fmt: skip
    return fields | changes


@pytest.fixture
def gateway(kite):
    return make(kite)


async def test_a_tag_finds_its_order_with_fills_in_paise_and_utc(kite, gateway):
    kite.replies["GET /orders"] = success([
        row(order_id="1", tag=None), row(status="COMPLETE", filled_quantity=10, pending_quantity=0)
    ])  # fmt: skip
    kite.replies["GET /orders/261125000000001/trades"] = success([trade(2, 6, 1500.05), trade(1, 4, 1500.1)])
    lookup = await gateway.find_by_tag("s1", TAG)
    order = lookup.order
    assert lookup.definitive
    assert (order.broker_order_id, order.account, order.instrument, order.tag) == ("261125000000001", "s1", 1, TAG)
    assert (order.status, order.quantity, order.filled_quantity) == (BrokerStatus.FILLED, 10, 10)
    assert {(fill.fill_id, fill.quantity, fill.price_paise) for fill in order.fills} == {
        ("261125000000001-1", 4, 150_010), ("261125000000001-2", 6, 150_005)
    }  # fmt: skip
    assert {ist_datetime(fill.ts_event_ns).isoformat() for fill in order.fills} == {"2026-11-25T10:00:02+05:30"}


async def test_an_end_is_not_told_before_its_fills_are_known(kite, gateway):
    kite.replies["GET /orders"] = success([row(status="CANCELLED", filled_quantity=4, cancelled_quantity=6)])
    kite.replies["GET /orders/261125000000001/trades"] = [
        success([trade(1, 3, 1500.05)]), success([trade(1, 3, 1500.05), trade(2, 1, 1500.05)])
    ]  # fmt: skip
    early, late = [(await gateway.find_by_tag("s1", TAG)).order for _ in range(2)]
    assert (early.status, early.filled_quantity, len(early.fills)) == (BrokerStatus.UNKNOWN, 4, 1)
    assert (late.status, late.filled_quantity, len(late.fills)) == (BrokerStatus.CANCELLED, 4, 2)


async def test_a_trade_book_newer_than_the_order_book_decides(kite, gateway):
    kite.replies["GET /orders"] = success([row(filled_quantity=4)])
    kite.replies["GET /trades"] = success([trade(1, 4, 1500.05), trade(2, 6, 1500.05), trade(2, 6, 1500.05)])
    [order] = await gateway.order_book("s1")
    assert (order.status, order.filled_quantity) == (BrokerStatus.FILLED, 10)


async def test_an_absent_tag_is_certain_only_after_the_book_has_settled(kite):
    kite.replies["GET /orders"] = success([row(tag="other"), row(order_id="2", tag=None)])
    assert (await make(kite).find_by_tag("s1", TAG)).definitive is False
    gateway = make(kite, settle_seconds=0.0)
    assert (await gateway.find_by_tag("s1", TAG)).definitive is True
    kite.replies[PLACE] = Reply(b"", 500)
    gateway = make(kite, settle_seconds=0.3)
    await gateway.place(request())
    assert (await gateway.find_by_tag("s1", TAG)).definitive is False
    async with asyncio.timeout(20):
        while not (await gateway.find_by_tag("s1", TAG)).definitive:
            await asyncio.sleep(0.01)


async def test_a_tag_on_its_way_is_not_absent(kite):
    gateway = make(kite, settle_seconds=0.0)
    kite.replies["GET /orders"] = success([])
    go = threading.Event()
    kite.otherwise = lambda asked: (go.wait(30), success({"order_id": "1"}))[1]
    placing = asyncio.create_task(gateway.place(request()))
    while not kite.asked:  # it is on its way
        await asyncio.sleep(0.005)
    assert (await gateway.find_by_tag("s1", TAG)).definitive is False
    go.set()
    assert (await placing).result is Result.ACCEPTED


@pytest.mark.parametrize(
    "reply",
    [
        success(None), success({}), success("x"), success([1]), success([{}]), success([row(), row(order_id=None)]),
        success([row(tag=5)]), success([row(quantity="ten")]), success([row(filled_quantity=None)]),
        success([row(transaction_type="HOLD")]), success([row(status=None)]), success([row(quantity=1.5)]),
        Reply(b"<html>", 502, HTML), Reply(b"", 200), refusal(400, "InputException"), refusal(403, "TokenException"),
    ],
    ids=lambda reply: str(reply.body)[:50],
)  # fmt: skip
async def test_a_book_that_cannot_be_read_whole_says_nothing_about_what_is_absent(kite, reply):
    gateway = make(kite, settle_seconds=0.0)
    kite.replies["GET /orders"] = reply
    lookup = await gateway.find_by_tag("s1", "tbabsent")
    assert (lookup.order, lookup.definitive) == (None, False)
    assert await gateway.order_book("s1") is None


async def test_the_trade_books_silence_makes_the_book_unreadable(kite, gateway):
    kite.replies["GET /orders"] = success([row(filled_quantity=4)])
    kite.replies["GET /trades"] = Reply(b"", 500)
    assert await gateway.order_book("s1") is None
    assert len(kite.calls("GET", "/trades")) == 5  # reads are repeated
    kite.replies["GET /orders"] = success([])
    assert await gateway.order_book("s1") == []


async def test_of_two_orders_with_one_tag_the_one_that_can_hold_a_position_is_told(kite, gateway):
    kite.replies["GET /orders"] = success([
        row(order_id="1", status="REJECTED"), row(order_id="2", status="OPEN"), row(order_id="3", status="REJECTED")
    ])  # fmt: skip
    assert (await gateway.find_by_tag("s1", TAG)).order.broker_order_id == "2"


async def test_an_order_in_something_unknown_is_told_as_that(kite, gateway):
    kite.replies["GET /orders"] = success([row(exchange="CDS", instrument_token=412675, trigger_price=72.5)])
    [order] = await gateway.order_book("s1")
    assert (order.instrument, order.trigger_paise) == (UNLISTED_INSTRUMENT, 7_250)


async def test_times_of_the_book_are_indian(kite, gateway):
    kite.replies["GET /orders"] = success([row(), row(order_timestamp=None, exchange_timestamp=7,
                                                      exchange_update_timestamp="yesterday")])  # fmt: skip
    first, second = await gateway.order_book("s1")
    assert first.as_of_ns == datetime_to_ns(ist_datetime(first.as_of_ns).replace(hour=10, minute=0, second=1))
    assert second.as_of_ns == NOW_NS
