"""Changes of orders at Upstox, and what its order book says of them."""

import pytest
from testkit.scripted_server import Reply, success
from testkit.upstox_orders import (
    BOOK,
    DONE,
    INFY,
    MODIFY,
    ORDER_ID,
    PLACE,
    PLACED,
    TAG,
    TRADES,
    TRADES_OF,
    gateway_over,
    request,
)
from testkit.upstox_server import PAGE, refusal

from tradebus.contracts.orders import OrderType
from tradebus.kernel.time import datetime_to_ns, ist_datetime
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, OrderModification, Result

DETAILS = "GET /v2/order/details"


def row(**changes) -> dict:
    fields = {
        "exchange": "NSE", "product": "I", "price": 1500.1, "quantity": 10, "status": "open", "guid": None,
        "tag": TAG, "instrument_token": INFY.token, "placed_by": "AB1234", "tradingsymbol": "INFY-EQ",
        "trading_symbol": "INFY-EQ", "order_type": "LIMIT", "validity": "DAY", "trigger_price": 0.0,
        "disclosed_quantity": 0, "transaction_type": "BUY", "average_price": 0.0, "filled_quantity": 0,
        "pending_quantity": 10, "status_message": None, "status_message_raw": None,
        "exchange_order_id": "1100000000000001", "parent_order_id": None, "order_id": ORDER_ID, "variety": "SIMPLE",
        "order_timestamp": "2026-11-25 10:00:00", "exchange_timestamp": "2026-11-25 10:00:01", "is_amo": False,
        "order_request_id": "1", "order_ref_id": "udapi-1",
    }  # fmt: skip
    return fields | changes


def trade(number: int, quantity: int, price: float, **changes) -> dict:
    fields = {
        "exchange": "NSE", "product": "I", "tradingsymbol": "INFY-EQ", "instrument_token": INFY.token,
        "order_type": "LIMIT", "transaction_type": "BUY", "quantity": quantity, "average_price": price,
        "exchange_order_id": "1100000000000001", "order_id": ORDER_ID, "trade_id": str(number),
        "exchange_timestamp": "25-Nov-2026 10:00:02", "order_timestamp": "25-Nov-2026 10:00:00",
    }  # fmt: skip
    return fields | changes


@pytest.fixture
def gateway(client):
    return gateway_over(client)


async def test_a_change_of_our_own_order_says_the_whole_order_again(upstox, gateway):
    upstox.replies |= {PLACE: PLACED, MODIFY: DONE}
    stop = request(order_type=OrderType.SL_M, price_paise=None, trigger_paise=149_000, market_protection_pct=3.0)
    await gateway.place(stop)
    outcome = await gateway.modify("s1", ORDER_ID, OrderModification(7, None, 149_500, 0))
    assert outcome.result is Result.ACCEPTED
    assert upstox.asked[1].json == {
        "quantity": 7, "validity": "DAY", "price": 0.0, "order_id": ORDER_ID, "order_type": "SL-M",
        "disclosed_quantity": 0, "trigger_price": 1495.0, "market_protection": 3.0,
    }  # fmt: skip


async def test_a_change_of_an_order_of_an_earlier_life_reads_it_first(upstox, gateway):
    upstox.replies |= {DETAILS: success(row(order_type="SL", validity="IOC", trigger_price=1499.0)), MODIFY: DONE}
    outcome = await gateway.modify("s1", ORDER_ID, OrderModification(7, 150_000, 149_500, 0))
    assert outcome.result is Result.ACCEPTED
    body = upstox.asked[1].json
    assert (body["order_type"], body["validity"], body["price"], body["trigger_price"]) == ("SL", "IOC", 1500.0, 1495.0)


async def test_a_change_that_names_no_price_keeps_it_or_moves_it_with_the_trigger(upstox, gateway):
    upstox.replies |= {PLACE: PLACED, MODIFY: DONE}
    await gateway.place(request(order_type=OrderType.SL, price_paise=148_900, trigger_paise=149_000))
    for trigger, price in ((149_500, 1494.0), (149_700, 1496.0)):
        assert (await gateway.modify("s1", ORDER_ID, OrderModification(7, None, trigger, 0))).result is Result.ACCEPTED
        assert upstox.asked[-1].json["price"] == price
    await gateway.place(request())
    await gateway.modify("s1", ORDER_ID, OrderModification(7, None, None, 0))
    assert upstox.asked[-1].json["price"] == 1500.1


async def test_after_a_change_without_an_answer_the_order_is_looked_at(upstox, gateway):
    upstox.replies |= {PLACE: PLACED, MODIFY: Reply({}, cut=0), DETAILS: success(row(price=1501.0))}
    await gateway.place(request())
    assert (await gateway.modify("s1", ORDER_ID, OrderModification(7, 150_100, None, 0))).result is Result.UNKNOWN
    upstox.replies[MODIFY] = DONE
    assert (await gateway.modify("s1", ORDER_ID, OrderModification(8, None, None, 0))).result is Result.ACCEPTED
    assert upstox.asked[-1].json["price"] == 1501.0


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (refusal(400, "UDAPI100010", "Order id does not exist"), Result.REFUSED),
        (Reply(PAGE, 502), Result.UNKNOWN),
        (success(row(order_type="ICEBERG")), Result.UNKNOWN),
        (success(row(order_id="another")), Result.UNKNOWN),
        (success([row()]), Result.UNKNOWN),
    ],
)
async def test_an_order_that_cannot_be_read_is_not_changed(upstox, gateway, reply, result):
    upstox.replies |= {DETAILS: reply, MODIFY: DONE}
    assert (await gateway.modify("s1", ORDER_ID, OrderModification(7, 150_000, None, 0))).result is result
    assert not upstox.calls("PUT", "/v3/order/modify")


async def test_the_book_tells_orders_with_their_fills(upstox, gateway):
    done = row(status="complete", filled_quantity=10, pending_quantity=0)
    resting = row(order_id="2", tag=None, status="trigger pending", order_type="SL-M", trigger_price=1490.05)
    elsewhere = row(order_id="3", instrument_token="NCD_FO|1", status="rejected", status_message="no margin")
    upstox.replies |= {
        BOOK: success([done, resting, elsewhere]), TRADES: success([trade(1, 4, 1500.05), trade(2, 6, 1500.1)]),
    }  # fmt: skip
    first, second, third = await gateway.order_book("s1")
    assert first.status is BrokerStatus.FILLED
    assert [(fill.quantity, fill.price_paise) for fill in first.fills] == [(4, 150_005), (6, 150_010)]
    assert first.fills[0].fill_id == f"{ORDER_ID}:1"
    at = first.fills[0].ts_event_ns
    assert at == datetime_to_ns(ist_datetime(at))
    assert ist_datetime(at).isoformat() == "2026-11-25T10:00:02+05:30"
    assert (second.status, second.trigger_paise, second.tag) == (BrokerStatus.TRIGGER_PENDING, 149_005, "")
    assert (third.instrument, third.status, third.reason) == (UNLISTED_INSTRUMENT, BrokerStatus.REJECTED, "no margin")


async def test_a_filled_order_whose_trades_are_not_told_yet_is_unknown(upstox, gateway):
    upstox.replies |= {
        BOOK: success([row(status="complete", filled_quantity=10)]), TRADES: success([trade(1, 4, 1500.05)])
    }  # fmt: skip
    (order,) = await gateway.order_book("s1")
    assert order.status is BrokerStatus.UNKNOWN
    assert order.filled_quantity == 10


async def test_trades_newer_than_the_book_count(upstox, gateway):
    upstox.replies |= {
        BOOK: success([row(status="open", filled_quantity=4)]),
        TRADES: success([trade(1, 4, 1500.0), trade(2, 6, 1500.0)]),
    }  # fmt: skip
    (order,) = await gateway.order_book("s1")
    assert order.status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    "reply", [Reply(PAGE, 200), success({}), success([row(), "x"]), success([row(quantity="10")]), Reply(b"", 500)]
)
async def test_a_book_that_cannot_be_read_whole_says_nothing(upstox, gateway, reply):
    upstox.replies[BOOK] = reply
    assert await gateway.order_book("s1") is None
    lookup = await gateway.find_by_tag("s1", "another")
    assert lookup.order is None
    assert not lookup.definitive


async def test_a_lost_order_is_found_by_its_tag(upstox, gateway):
    upstox.replies |= {
        PLACE: Reply(b"", cut=0), BOOK: success([row(order_id="1", tag="x"), row(filled_quantity=4)]),
        TRADES_OF: success([trade(1, 4, 1500.05)]),
    }  # fmt: skip
    assert (await gateway.place(request())).result is Result.UNKNOWN
    lookup = await gateway.find_by_tag("s1", TAG)
    assert lookup.definitive
    assert lookup.order is not None
    assert (lookup.order.broker_order_id, lookup.order.filled_quantity) == (ORDER_ID, 4)
    assert upstox.calls("GET", "/v2/order/trades")[0].query == {"order_id": [ORDER_ID]}


async def test_absence_is_certain_only_after_the_book_could_settle(upstox, client):
    upstox.replies |= {PLACE: Reply(b"", cut=0), BOOK: success([])}
    hasty, patient = gateway_over(client, settle_seconds=60), gateway_over(client, settle_seconds=0)
    for gateway, certain in ((hasty, False), (patient, True)):
        await gateway.place(request())
        lookup = await gateway.find_by_tag("s1", TAG)
        assert lookup.order is None
        assert lookup.definitive is certain


async def test_of_two_orders_with_one_tag_the_live_one_is_told(upstox, gateway):
    upstox.replies[BOOK] = success(
        [row(order_id="1", status="rejected"), row(order_id="2"), row(order_id="3", status="Rejected")]
    )
    lookup = await gateway.find_by_tag("s1", TAG)
    assert lookup.order is not None
    assert lookup.order.broker_order_id == "2"
