"""Orders at Dhan through the SDK: what goes out, and what comes of each answer."""

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
    request,
)
from testkit.dhan_orders import ACCEPTED, ORDER, PLACE, error, orders_over
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.dhan import DhanClient, DhanEndpoints, DhanOrders, DhanSettings
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import OrderModification, Product, Result


@pytest.fixture
def orders(dhan):
    client = dhan.client()
    yield orders_over(client)
    client.close()


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


async def test_an_answer_about_another_order_says_nothing_of_this_one(dhan, orders):
    dhan.answers[ORDER] = dhan.answers[f"DELETE {ORDER.partition(' ')[2]}"] = Answer.of(ACCEPTED | {"orderId": "8"})
    change = OrderModification(25, 150_000, None, 1)
    number = ORDER.rpartition("/")[2]
    for outcome in (await orders.modify("A", number, change), await orders.cancel("A", number, at_ns=1)):
        assert (outcome.result, outcome.broker_order_id) == (Result.UNKNOWN, None)
        assert "about order 8" in outcome.reason


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
    orders = DhanOrders(client, listing_of=LISTED.__getitem__, instrument_of=instrument_of)
    outcome = await orders.place(request())
    dhan.give_up.set()
    assert outcome.result is Result.UNKNOWN
    dhan.give_up.clear()


async def test_an_answer_that_drips_is_given_up(dhan):
    dhan.answers[PLACE] = Answer(body=json.dumps(ACCEPTED).encode(), drip_seconds=0.05)
    client = dhan.client(request_seconds=0.3)
    orders = DhanOrders(client, listing_of=LISTED.__getitem__, instrument_of=instrument_of)
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
    orders = DhanOrders(client, listing_of=LISTED.__getitem__, instrument_of=instrument_of)
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
        DhanClient(DhanSettings("1", TOKEN, endpoints=endpoints), timers=WALL_TIMERS)
    assert "secret@" not in str(refused.value)


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "naïve"])
def test_a_token_that_is_none_is_refused_without_repeating_it(token):
    with pytest.raises(InvalidInput) as refused:
        DhanClient(DhanSettings("1", token), timers=WALL_TIMERS)
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
