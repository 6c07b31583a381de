"""Orders at Dhan through the SDK: what goes out, what comes of each answer, and what the order book says."""

import asyncio
import json
import logging
from dataclasses import replace

import pytest
from testkit.dhan_desk import (
    INFY,
    LISTED,
    TOKEN,
    Answer,
    instrument_of,
    order_row,
    request,
    trade_row,
)

from tradebus.brokers.dhan import DhanClient, DhanEndpoints, DhanOrders, DhanSettings
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, OrderModification, Product, Result

ACCEPTED = {"orderId": "112111182198", "orderStatus": "TRANSIT"}
PLACE, BOOK, TRADES = "POST /v2/orders", "GET /v2/orders", "GET /v2/trades/"
BY_TAG, ORDER, ITS_TRADES = (
    "GET /v2/orders/external/tb0001",
    "PUT /v2/orders/112111182198",
    "GET /v2/trades/112111182198",
)


@pytest.fixture
def orders(dhan):
    client = dhan.client()
    yield orders_over(client)
    client.close()


def orders_over(client, *, settle_seconds=0.0):
    return DhanOrders(
        client.settings, listing_of=LISTED.__getitem__, instrument_of=instrument_of, client=client,
        settle_seconds=settle_seconds,
    )  # fmt: skip


def error(code: str, status: int = 400, message: str = "no") -> Answer:
    return Answer.of({"errorType": "X", "errorCode": code, "errorMessage": message}, status)


# What goes out


@pytest.mark.parametrize(
    ("order_type", "word", "price", "trigger"),
    [
        (OrderType.MARKET, "MARKET", 0.0, 0.0),
        (OrderType.LIMIT, "LIMIT", 1500.5, 0.0),
        (OrderType.SL, "STOP_LOSS", 1500.5, 1500.0),
        (OrderType.SL_M, "STOP_LOSS_MARKET", 0.0, 1500.0),
    ],
)
async def test_each_order_type_goes_out_in_dhans_words(dhan, orders, order_type, word, price, trigger):
    dhan.answers[PLACE] = Answer.of(ACCEPTED)
    outcome = await orders.place(request(order_type))
    assert outcome.result is Result.ACCEPTED
    assert outcome.broker_order_id == "112111182198"
    (asked,) = dhan.asked
    body = asked.json
    assert (body["orderType"], body["price"], body["triggerPrice"]) == (word, price, trigger)
    assert (body["securityId"], body["exchangeSegment"]) == (INFY.token, "NSE_EQ")
    assert (body["correlationId"], body["transactionType"], body["quantity"]) == ("tb0001", "BUY", 1)
    assert asked.headers["access-token"] == TOKEN


@pytest.mark.parametrize(
    ("product", "instrument", "word"),
    [(Product.INTRADAY, 0, "INTRADAY"), (Product.DELIVERY, 0, "CNC"), (Product.CARRY, 2, "MARGIN")],
)
async def test_each_product_goes_out_in_dhans_words(dhan, orders, product, instrument, word):
    dhan.answers[PLACE] = Answer.of(ACCEPTED)
    await orders.place(request(instrument=instrument, product=product, transaction=Transaction.SELL))
    assert dhan.asked[0].json["productType"] == word
    assert dhan.asked[0].json["transactionType"] == "SELL"


async def test_a_modification_says_the_new_total_and_its_type(dhan, orders):
    dhan.answers[ORDER] = Answer.of(ACCEPTED)
    for price, trigger, word in (
        (150_000, None, "LIMIT"), (150_000, 149_000, "STOP_LOSS"), (None, 149_000, "STOP_LOSS_MARKET")
    ):  # fmt: skip
        outcome = await orders.modify("A", "112111182198", OrderModification(25, price, trigger, 1))
        assert outcome.result is Result.ACCEPTED
        body = dhan.asked[-1].json
        assert (body["orderType"], body["quantity"]) == (word, 25)
        assert body["triggerPrice"] == (trigger or 0) / 100


async def test_a_cancellation_is_accepted_when_dhan_took_it(dhan, orders):
    dhan.answers["DELETE /v2/orders/112111182198"] = Answer.of(ACCEPTED | {"orderStatus": "CANCELLED"}, 202)
    assert (await orders.cancel("A", "112111182198", at_ns=1)).result is Result.ACCEPTED


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"tag": ""}, "tag"),
        ({"tag": "x" * 31}, "tag"),
        ({"tag": "a/b"}, "tag"),
        ({"instrument": 1}, "IDX_I"),
        ({"quantity": 0}, "quantity"),
        ({"price_paise": None}, "price"),
        ({"order_type": OrderType.SL_M, "trigger_paise": None}, "trigger"),
    ],
)
async def test_what_dhan_could_not_be_asked_is_refused_without_asking(dhan, orders, more, words):
    outcome = await orders.place(request(**more))
    assert outcome.result is Result.REFUSED
    assert words in outcome.reason
    assert dhan.asked == []


async def test_an_instrument_that_dhan_does_not_list_is_refused_without_asking(dhan, orders):
    outcome = await orders.place(replace(request(), instrument=99))
    assert outcome.result is Result.REFUSED
    assert dhan.asked == []


@pytest.mark.parametrize("order_id", ["", "../funds", "1?x=1", "a b", "1/2", "x" * 61])
async def test_an_order_id_that_is_none_leaves_this_machine_never(dhan, orders, order_id):
    assert (await orders.cancel("A", order_id, at_ns=1)).result is Result.REFUSED
    assert (await orders.modify("A", order_id, OrderModification(1, 1, None, 1))).result is Result.REFUSED
    assert dhan.asked == []


# What comes of an answer


@pytest.mark.parametrize(
    "answer",
    [
        error("DH-905"), error("DH-906"), error("DH-903", 403), error("DH-902", 403), error("DH-904", 429),
        error("DH-901", 401), error("807", 401), error("RL001", 429), Answer(429, b""), Answer(401, b""),
        error("DH-905", 403, "Invalid IP"),
        Answer.of({"status": "failed", "data": {"805": "Too many requests"}}, 429),
    ],
)  # fmt: skip
async def test_dhans_own_no_is_a_refusal(dhan, orders, answer):
    dhan.answers[PLACE] = answer
    outcome = await orders.place(request())
    assert outcome.result is Result.REFUSED
    assert outcome.reason
    assert len(dhan.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        error("DH-908", 500), error("DH-909", 502), error("DH-910"), error("800", 500), error("DH-906", 500),
        error("DH-999"), error("DH-907", 404), error("DH-1111", 500),
        Answer(500, b""), Answer(502, b"<html>bad gateway</html>", "text/html"),
        Answer(403, b"<html>blocked</html>", "text/html"), Answer(400, b"<html>", "text/html"), Answer(404, b"{}"),
        Answer(408, b"{}"), Answer(200, b""), Answer(200, b"<html>ok</html>", "text/html"), Answer(200, b"null"),
        Answer(200, b"[]"), Answer(200, b"{}"), Answer(200, b'{"orderId": null}'), Answer(200, b'{"orderId": ""}'),
        Answer(200, b'{"orderId": ["1"]}'), Answer(200, b'{"orderId": true}'), Answer(200, b'{"orderId": "1'),
        Answer(drop=True), Answer(claimed=500), Answer(302, location="http://127.0.0.1:1/elsewhere"),
        Answer(200, b'{"orderId":' * 20_000), Answer(200, b"9" * 6_000), Answer(200, b" " * 10_000_000),
    ],
)  # fmt: skip
async def test_anything_else_says_nothing_about_the_order_and_is_not_sent_again(dhan, orders, answer):
    dhan.answers[PLACE] = answer
    outcome = await orders.place(request())
    assert outcome.result is Result.UNKNOWN
    assert outcome.reason
    assert len(dhan.asked) == 1


async def test_an_answer_that_does_not_come_is_unknown(dhan):
    dhan.answers[PLACE] = Answer(wait_seconds=5)
    client = dhan.client(request_seconds=0.2)
    orders = DhanOrders(client.settings, listing_of=LISTED.__getitem__, instrument_of=instrument_of, client=client)
    outcome = await orders.place(request())
    dhan.give_up.set()
    assert outcome.result is Result.UNKNOWN
    dhan.give_up.clear()


async def test_an_answer_that_drips_is_given_up(dhan):
    dhan.answers[PLACE] = Answer(body=json.dumps(ACCEPTED).encode(), drip_seconds=0.05)
    client = dhan.client(request_seconds=0.3)
    orders = DhanOrders(client.settings, listing_of=LISTED.__getitem__, instrument_of=instrument_of, client=client)
    outcome = await orders.place(request())
    assert outcome.result is Result.UNKNOWN
    assert "no whole answer in 0.3 s" in outcome.reason
    client.close()


async def test_an_answer_shorter_than_it_claims_is_no_answer(dhan, orders):
    body = json.dumps(ACCEPTED).encode()
    dhan.answers[PLACE] = Answer(body=body, claimed=len(body) + 2)
    assert (await orders.place(request())).result is Result.UNKNOWN


async def test_a_refused_token_is_renewed_once_and_the_order_sent_with_the_new_one(dhan):
    async def refresh() -> str:
        return "new-token"

    dhan.answers[PLACE] = [error("DH-901", 401), Answer.of(ACCEPTED)]
    client = dhan.client(refresh=refresh)
    orders = DhanOrders(client.settings, listing_of=LISTED.__getitem__, instrument_of=instrument_of, client=client)
    assert (await orders.place(request())).result is Result.ACCEPTED
    assert [asked.headers["access-token"] for asked in dhan.asked] == [TOKEN, "new-token"]


async def test_without_a_new_token_everything_halts_until_there_is_one(dhan, orders):
    dhan.answers["*"] = error("DH-901", 401)
    assert (await orders.place(request())).result is Result.REFUSED
    assert (await orders.place(request())).result is Result.REFUSED
    assert await orders.order_book("A") is None
    assert len(dhan.asked) == 1


async def test_no_token_is_in_any_reason_or_log(dhan, caplog):
    caplog.set_level(logging.DEBUG)
    client = dhan.client()
    orders = orders_over(client)
    dhan.answers[PLACE] = error("DH-905", message=f"bad token {TOKEN}")
    outcome = await orders.place(request())
    assert "***" in outcome.reason
    assert TOKEN not in outcome.reason
    dhan.answers[PLACE] = Answer(200, f"<html>{TOKEN}</html>".encode())
    assert TOKEN not in (await orders.place(request())).reason
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(client.settings)
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


async def until_certainly_absent(orders) -> None:
    async with asyncio.timeout(20):
        while not (await orders.find_by_tag("A", "tb0001")).definitive:
            await asyncio.sleep(0.01)


async def test_a_tag_that_was_lost_a_moment_ago_is_not_certainly_absent(dhan):
    client = dhan.client()
    orders = orders_over(client, settle_seconds=0.3)
    dhan.answers |= {PLACE: Answer(500, b""), BY_TAG: error("DH-907", 404), BOOK: Answer.of([])}
    assert not (await orders.find_by_tag("A", "tb0001")).definitive  # one before us may just have sent it
    await until_certainly_absent(orders)
    assert (await orders.place(request())).result is Result.UNKNOWN
    assert not (await orders.find_by_tag("A", "tb0001")).definitive
    await until_certainly_absent(orders)
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


# Addresses


@pytest.mark.parametrize(
    "endpoints",
    [
        DhanEndpoints(rest="http://api.dhan.co/v2"),
        DhanEndpoints(feed="ws://api-feed.dhan.co"),
        DhanEndpoints(order_updates="https://api-order-update.dhan.co"),
        DhanEndpoints(login="https://user:secret@auth.dhan.co"),
        DhanEndpoints(master="file:///etc/passwd"),
    ],
)
def test_a_token_goes_nowhere_unencrypted(endpoints):
    with pytest.raises(InvalidInput) as refused:
        DhanClient(DhanSettings("1", TOKEN, endpoints=endpoints))
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "naïve"])
def test_a_token_that_is_none_is_refused_without_repeating_it(token):
    with pytest.raises(InvalidInput) as refused:
        DhanClient(DhanSettings("1", token))
    assert token not in str(refused.value)


async def test_a_sdk_that_was_pointed_elsewhere_sends_nothing(dhan):
    dhan.answers["*"] = Answer.of(ACCEPTED)
    client = dhan.client()
    orders = orders_over(client)
    client.sdk().dhan_http.base_url = "http://127.0.0.1:1/v2"
    outcome = await orders.place(request())
    assert outcome.result is Result.REFUSED
    assert "elsewhere" in outcome.reason
    assert dhan.asked == []
    client.close()


def test_the_sdks_own_address_stays_the_real_one():
    from dhanhq import DhanHTTP

    assert DhanEndpoints().rest == DhanHTTP.API_BASE_URL
