"""Dhan's order book: what it says of an order, and when a tag that it lacks is absent for certain."""

import asyncio
import json

import pytest
from testkit.dhan_desk import (
    Answer,
    order_row,
    request,
    trade_row,
)
from testkit.dhan_orders import ACCEPTED, BOOK, BY_TAG, ITS_TRADES, PLACE, TRADES, error, orders_over
from testkit.simulated import PatientTimers, through

from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, Result


@pytest.fixture
def orders(dhan):
    client = dhan.client()
    yield orders_over(client)
    client.close()


# The order book


async def test_an_order_is_found_by_its_tag_with_its_fills(dhan, orders):
    row = order_row(orderStatus="TRADED", filledQty=10)
    dhan.answers |= {BY_TAG: Answer.of(row), ITS_TRADES: Answer.of([trade_row("T1", 4), trade_row("T2", 6)])}
    lookup = await orders.find_by_tag("A", "tb0001")
    assert lookup.definitive
    assert lookup.order is not None
    assert lookup.order.status is BrokerStatus.FILLED
    assert [(fill.quantity, fill.price_paise) for fill in lookup.order.fills] == [(4, 150_045), (6, 150_045)]
    assert lookup.order.instrument == 0
    assert lookup.order.account == "A"


@pytest.mark.parametrize(
    "nothing", [error("DH-907", 404), error("DH-906"), Answer.of({}), Answer.of([]), Answer(200, b"null")]
)
async def test_absence_is_certain_only_after_the_whole_book(dhan, orders, nothing):
    dhan.answers |= {BY_TAG: nothing, BOOK: Answer.of([order_row(correlationId="other", orderId="7")])}
    lookup = await orders.find_by_tag("A", "tb0001")
    assert lookup.order is None
    assert lookup.definitive
    dhan.answers[BOOK] = Answer.of([order_row()])
    assert (await orders.find_by_tag("A", "tb0001")).order is not None


@pytest.mark.parametrize(
    "book",
    [Answer(500, b""), Answer(200, b"<html>"), Answer.of({"orders": []}), Answer.of([1]),
     Answer.of([{"orderId": "9"}]), Answer.of([order_row(correlationId=["tb0001"])])],
)  # fmt: skip
async def test_an_unreadable_book_makes_no_absence_certain(dhan, orders, book):
    dhan.answers |= {BY_TAG: error("DH-907", 404), BOOK: book}
    lookup = await orders.find_by_tag("A", "tb0001")
    assert lookup.order is None
    assert not lookup.definitive


async def test_a_tag_that_was_lost_a_moment_ago_is_not_certainly_absent(dhan):
    timers = PatientTimers()
    client = dhan.client(timers=timers)
    orders = orders_over(client, settle_seconds=5)
    dhan.answers |= {PLACE: Answer(500, b""), BY_TAG: error("DH-907", 404), BOOK: Answer.of([])}

    async def is_certain(seconds: float) -> bool:
        timers.advance(timers.now_ns() + round(seconds * 1e9))
        return (await through(timers, orders.find_by_tag("A", "tb0001"))).definitive

    assert not await is_certain(0), "one before us may just have sent it"
    assert await is_certain(30)
    assert (await through(timers, orders.place(request()))).result is Result.UNKNOWN
    assert [await is_certain(seconds) for seconds in (0, 19.5, 0.5)] == [False, False, True]
    client.close()


async def test_a_tag_that_is_being_placed_is_not_certainly_absent(dhan):
    client = dhan.client()
    orders = orders_over(client)
    dhan.answers |= {
        PLACE: Answer(200, json.dumps(ACCEPTED).encode(), wait_seconds=0.3),
        BY_TAG: error("DH-907", 404),
        BOOK: Answer.of([]),
    }
    placing = asyncio.create_task(orders.place(request()))
    while not dhan.asked:  # it is on its way
        await asyncio.sleep(0.005)
    assert not (await orders.find_by_tag("A", "tb0001")).definitive
    assert (await placing).result is Result.ACCEPTED
    client.close()


async def test_another_orders_row_is_no_answer_to_a_search(dhan, orders):
    dhan.answers |= {BY_TAG: Answer.of(order_row(correlationId="other")), BOOK: Answer.of([])}
    lookup = await orders.find_by_tag("A", "tb0001")
    assert lookup.order is None
    assert lookup.definitive


async def test_of_two_orders_with_one_tag_the_filled_one_is_told(dhan, orders):
    rows = [order_row(orderId="2", createTime="2026-11-25 11:00:00"), order_row(filledQty=4, orderStatus="PART_TRADED")]
    dhan.answers |= {BY_TAG: Answer.of(rows), ITS_TRADES: Answer.of([trade_row("T1", 4)])}
    lookup = await orders.find_by_tag("A", "tb0001")
    assert lookup.order is not None
    assert lookup.order.filled_quantity == 4


async def test_the_book_joins_orders_and_trades(dhan, orders):
    rows = [
        order_row(),
        order_row(orderId="2", orderStatus="TRADED", filledQty=10, securityId="52175", exchangeSegment="NSE_FNO"),
        order_row(orderId="3", securityId="999"),
        order_row(orderId="4", orderType="STOP_LOSS_MARKET", triggerPrice=1490.0, transactionType="SELL"),
        order_row(orderId="5", orderStatus="REJECTED", omsErrorDescription="margin"),
    ]
    dhan.answers |= {BOOK: Answer.of(rows), TRADES: Answer.of([trade_row("T9", 10, orderId="2")])}
    book = await orders.order_book("A")
    assert book is not None
    assert [order.status.value for order in book] == ["OPEN", "FILLED", "OPEN", "TRIGGER_PENDING", "REJECTED"]
    assert [order.instrument for order in book] == [0, 2, UNLISTED_INSTRUMENT, 0, 0]
    assert book[3].trigger_paise == 149_000
    assert book[4].reason == "margin"
    assert book[1].fills[0].fill_id == "2-T9"


async def test_an_end_whose_trades_are_not_all_there_yet_is_unknown(dhan, orders):
    rows = [
        order_row(orderStatus="TRADED", filledQty=10),
        order_row(orderId="2", orderStatus="CANCELLED", filledQty=3),
        order_row(orderId="3", orderStatus="CANCELLED"),
    ]
    dhan.answers |= {BOOK: Answer.of(rows), TRADES: Answer.of([trade_row("T1", 4)])}
    book = await orders.order_book("A")
    assert book is not None
    assert [order.status.value for order in book] == ["UNKNOWN", "UNKNOWN", "CANCELLED"]
    assert book[0].filled_quantity == 10
    assert len(book[0].fills) == 1


async def test_an_empty_day_is_an_empty_book(dhan, orders):
    dhan.answers[BOOK] = Answer.of([])
    assert await orders.order_book("A") == []


@pytest.mark.parametrize("answer", [Answer(500, b""), Answer(200, b"<html>"), Answer.of([{}]), Answer.of("x")])
async def test_a_book_that_cannot_be_read_is_no_book(dhan, orders, answer):
    dhan.answers[BOOK] = answer
    assert await orders.order_book("A") is None


async def test_reads_are_tried_again_and_placements_are_not(dhan, orders):
    dhan.answers[BOOK] = [Answer(502, b""), Answer(429, b""), Answer.of([])]
    assert await orders.order_book("A") == []
    assert len(dhan.asked) == 3
