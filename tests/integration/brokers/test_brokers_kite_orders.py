"""Orders at Kite: what is sent, and what each answer means. One outcome of three, and no order is sent twice."""

import asyncio
import threading
from datetime import date

import pytest
from testkit.kite_server import TOKEN, refusal
from testkit.scripted_server import HTML, Reply, success

from tradebus.brokers.kite import KiteClient, KiteEndpoints, KiteOrders
from tradebus.brokers.kite.limits import ORDERS_PER_SECOND, OrderPace
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import EventClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import datetime_to_ns, ist_datetime
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, OrderModification, OrderRequest, Product, Result

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
FUTURE = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29)), "12602626", "NFO", "NIFTY26DECFUT", 65, 10
)
INDEX = ListedInstrument(InstrumentKey(Segment.INDEX, "NIFTY"), "256265", "NSE", "NIFTY 50", 1, 5)
LISTED = {1: INFY, 2: FUTURE, 3: INDEX}
TAG = "tb0123456789abcdefgh"
NOW_NS = 1_795_590_000 * 10**9


def instrument_of(segment: str, token: str) -> int | None:
    return {("NSE", "408065"): 1, ("NFO", "12602626"): 2}.get((segment, token))


def request(**changes) -> OrderRequest:
    fields = {
        "account": "s1", "tag": TAG, "instrument": 1, "symbol": "INFY", "transaction": Transaction.BUY,
        "order_type": OrderType.LIMIT, "quantity": 10, "lot_size": 1, "tick_size_paise": 5, "at_ns": 0,
        "price_paise": 150_005,
    }  # fmt: skip
    return OrderRequest(**(fields | changes))


def row(**changes) -> dict:
    fields = {
        "placed_by": "AB1234", "order_id": "261125000000001", "exchange_order_id": "1100000000000001",
        "parent_order_id": None, "status": "OPEN", "status_message": None, "status_message_raw": None,
        "order_timestamp": "2026-11-25 10:00:00", "exchange_update_timestamp": "2026-11-25 10:00:01",
        "exchange_timestamp": "2026-11-25 10:00:00", "variety": "regular", "modified": False, "exchange": "NSE",
        "tradingsymbol": "INFY", "instrument_token": 408065, "order_type": "LIMIT", "transaction_type": "BUY",
        "validity": "DAY", "product": "MIS", "quantity": 10, "disclosed_quantity": 0, "price": 1500.05,
        "trigger_price": 0, "average_price": 0, "filled_quantity": 0, "pending_quantity": 10, "cancelled_quantity": 0,
        "market_protection": 0, "meta": {}, "tag": TAG, "guid": "x",
    }  # fmt: skip
    return fields | changes


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


class Unhurried(OrderPace):
    async def turn(self, *, urgent: bool = False) -> bool:
        return True


def make(kite, **changes) -> KiteOrders:
    client = changes.pop("client", None) or kite.client()
    fields = {"listing_of": LISTED.__getitem__, "instrument_of": instrument_of, "clock": EventClock(NOW_NS)}
    return KiteOrders(client.settings, client=client, **(fields | changes))


PLACE = "POST /orders/regular"


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, {"order_type": "LIMIT", "price": "1500.05", "product": "MIS", "exchange": "NSE", "tradingsymbol": "INFY"}),
        ({"order_type": OrderType.MARKET, "price_paise": None}, {"order_type": "MARKET", "market_protection": "-1"}),
        ({"order_type": OrderType.MARKET, "market_protection_pct": 2.5}, {"market_protection": "2.5"}),
        (
            {"order_type": OrderType.SL_M, "trigger_paise": 149_000, "transaction": Transaction.SELL},
            {"order_type": "SL-M", "trigger_price": "1490.00", "market_protection": "-1", "transaction_type": "SELL"},
        ),
        ({"order_type": OrderType.SL, "trigger_paise": 151_000}, {"trigger_price": "1510.00", "price": "1500.05"}),
        (
            {"instrument": 2, "product": Product.CARRY, "quantity": 65},
            {"exchange": "NFO", "tradingsymbol": "NIFTY26DECFUT", "product": "NRML", "quantity": "65"},
        ),
        ({"product": Product.DELIVERY}, {"product": "CNC"}),
    ],
)
async def test_an_order_is_written_as_kite_wants_it(kite, gateway, changes, sent):
    kite.replies[PLACE] = success({"order_id": "261125000000001"})
    outcome = await gateway.place(request(**changes))
    assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, "261125000000001")
    [asked] = kite.asked
    assert sent.items() <= asked.form.items()
    assert asked.form["tag"] == TAG
    assert asked.form["validity"] == "DAY"
    assert asked.headers["Authorization"] == f"token apikey:{TOKEN}"
    protected = asked.form["order_type"] in ("MARKET", "SL-M")
    assert ("market_protection" in asked.form) == protected
    assert ("price" in asked.form) == (asked.form["order_type"] in ("LIMIT", "SL"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tag": "t" * 21}, "tag"),
        ({"tag": "with-dash"}, "tag"),
        ({"tag": ""}, "tag"),
        ({"quantity": 0}, "quantity"),
        ({"price_paise": None}, "price"),
        ({"price_paise": -5}, "price"),
        ({"order_type": OrderType.SL_M}, "trigger_price"),
        ({"order_type": OrderType.MARKET, "market_protection_pct": 0.0}, "market_protection"),
        ({"order_type": OrderType.MARKET, "market_protection_pct": 101.0}, "market_protection"),
        ({"instrument": 3}, "INDEX:NIFTY"),
        ({"instrument": 99}, "99"),
    ],
)
async def test_what_kite_would_refuse_or_misread_is_not_sent(kite, gateway, changes, named):
    outcome = await gateway.place(request(**changes))
    assert outcome.result is Result.REFUSED
    assert named in outcome.reason
    assert kite.asked == []


REFUSALS = [
    refusal(400, "InputException", "Tick size for this script is 0.05"),
    refusal(400, "OrderException"),
    refusal(400, "MarginException", "Insufficient funds"),
    refusal(400, "HoldingException"),
    refusal(403, "PermissionException"),
    refusal(429, "NetworkException", "Too many requests"),
    refusal(403, "TokenException", "Incorrect `api_key` or `access_token`."),
    refusal(404, "GeneralException", "Route not found"),
]
UNKNOWNS = [
    refusal(500, "GeneralException"),
    refusal(500, "OrderException"),
    refusal(502, "DataException"),
    refusal(503, "NetworkException"),
    refusal(504, "NetworkException"),
    refusal(400, "NetworkException"),
    refusal(400, "DataException"),
    refusal(408, "InputException"),
    refusal(400, "NeverHeardOfException"),
    refusal(400, "__name__"),
    refusal(200, "InputException"),
    Reply({"status": "error", "message": None, "error_type": "InputException"}, 400),
    Reply({"status": "error", "message": "x", "error_type": 7}, 400),
    Reply({"status": "error"}, 400),
    Reply([], 400),
    Reply(b"<html>bad gateway</html>", 502, HTML),
    Reply(b"<html>forbidden</html>", 403, HTML),
    Reply(b"<html>slow down</html>", 429, HTML),
    Reply(b"<html>login</html>", 200, HTML),
    Reply(b"", 200),
    Reply(b"", 204),
    Reply(b"", 500, None),
    Reply(b'{"status": "success", "data": {"order_id": "26112', 200),
    Reply(b'{"status": "success", "data": {"order_id": "261125000000001"}}', 200, cut=20),
    Reply(b'{"status": "success", "data": {"order_id": "1"}}', 200, None),
    Reply(b"x" * 10_000_000, 200),
    Reply({"status": "success"}),
    Reply({"data": None}),
    Reply([1, 2]),
    Reply(None),
    success(None),
    success([]),
    success("261125000000001"),
    success({}),
    success({"order_id": None}),
    success({"order_id": ""}),
    success({"order_id": 1.5}),
    success({"order_id": True}),
    success({"order_id": ["1"]}),
    success({"order_id": {"id": "1"}}),
    Reply(b"", 302, headers={"Location": "http://127.0.0.1:1/orders/regular"}),
    Reply(b"", 307, headers={"Location": "/elsewhere"}),
]


@pytest.mark.parametrize("reply", REFUSALS, ids=lambda reply: str(reply.body["error_type"]))
async def test_kites_own_no_is_a_refusal_and_is_asked_once(kite, gateway, reply):
    kite.replies[PLACE] = reply
    outcome = await gateway.place(request())
    assert outcome.result is Result.REFUSED
    assert reply.body["message"] in outcome.reason
    assert TOKEN not in outcome.reason
    assert len(kite.asked) == 1


@pytest.mark.parametrize("reply", UNKNOWNS, ids=lambda reply: f"{reply.status}-{str(reply.body)[:30]}")
async def test_anything_else_is_unknown_and_is_sent_once(kite, gateway, reply):
    kite.replies[PLACE] = reply
    outcome = await gateway.place(request())
    assert outcome.result is Result.UNKNOWN
    assert outcome.reason
    assert len(kite.asked) == 1


async def test_nobody_listening_is_unknown(kite):
    gateway = make(kite, client=kite.client(endpoints=KiteEndpoints.at("http://127.0.0.1:9")))
    assert (await gateway.place(request())).result is Result.UNKNOWN


async def test_a_silent_broker_is_unknown(kite):
    go = threading.Event()
    kite.otherwise = lambda asked: (go.wait(30), success({"order_id": "1"}))[1]
    gateway = make(kite, client=kite.client(request_seconds=0.1))
    outcome = await gateway.place(request())
    go.set()
    assert outcome.result is Result.UNKNOWN
    assert len(kite.asked) == 1


async def test_an_order_id_written_as_a_number_is_accepted(kite, gateway):
    kite.replies[PLACE] = success({"order_id": 261125000000001})
    assert (await gateway.place(request())).broker_order_id == "261125000000001"


async def test_a_refused_token_is_renewed_once_and_the_order_sent_again(kite):
    tokens = iter(["second-secret-token"])

    async def refresh():
        return next(tokens)

    kite.replies[PLACE] = [refusal(403, "TokenException"), success({"order_id": "7"})]
    gateway = make(kite, client=kite.client(refresh=refresh))
    assert (await gateway.place(request())).broker_order_id == "7"
    assert [asked.headers["Authorization"] for asked in kite.asked] == [
        f"token apikey:{TOKEN}", "token apikey:second-secret-token"
    ]  # fmt: skip


async def test_after_a_refused_token_nothing_more_is_sent(kite):
    async def refresh():
        raise RuntimeError(f"no luck with {TOKEN}")

    kite.replies[PLACE] = refusal(403, "TokenException")
    gateway = make(kite, client=kite.client(refresh=refresh))
    for _ in range(3):
        outcome = await gateway.place(request())
        assert outcome.result is Result.REFUSED
        assert "log in again" in outcome.reason
    assert len(kite.asked) == 1


async def test_a_host_that_was_changed_under_us_gets_no_order(kite):
    client = kite.client()
    gateway = make(kite, client=client)
    client.sdk().root = "http://127.0.0.1:1"
    outcome = await gateway.place(request())
    assert outcome.result is Result.REFUSED
    assert "points elsewhere" in outcome.reason


async def test_a_change_and_a_cancellation_name_the_order(kite, gateway):
    kite.replies["PUT /orders/regular/7"] = success({"order_id": "7"})
    kite.replies["DELETE /orders/regular/7"] = success({"order_id": "7"})
    change = OrderModification(quantity=5, price_paise=None, trigger_paise=148_000, at_ns=0)
    assert (await gateway.modify("s1", "7", change)).result is Result.ACCEPTED
    assert (await gateway.cancel("s1", "7", at_ns=0)).result is Result.ACCEPTED
    sent = {"quantity": "5", "trigger_price": "1480.00", "market_protection": "-1"}
    assert sent.items() <= kite.asked[0].form.items()
    assert "price" not in kite.asked[0].form


async def test_the_twenty_sixth_change_of_an_order_is_not_sent(kite):
    gateway = make(kite, pace=Unhurried())
    kite.replies["PUT /orders/regular/7"] = success({"order_id": "7"})
    change = OrderModification(quantity=5, price_paise=100_000, trigger_paise=None, at_ns=0)
    results = [(await gateway.modify("s1", "7", change)).result for _ in range(26)]
    assert results == [Result.ACCEPTED] * 25 + [Result.REFUSED]
    assert len(kite.asked) == 25


@pytest.mark.parametrize("reply", [*UNKNOWNS[:12], Reply(b"", 200)], ids=lambda reply: str(reply.body)[:40])
async def test_a_change_or_cancellation_without_an_answer_is_unknown(kite, reply):
    gateway = make(kite, pace=Unhurried())
    kite.otherwise = lambda asked: reply
    change = OrderModification(quantity=5, price_paise=100_000, trigger_paise=None, at_ns=0)
    assert (await gateway.modify("s1", "7", change)).result is Result.UNKNOWN
    assert (await gateway.cancel("s1", "7", at_ns=0)).result is Result.UNKNOWN
    assert len(kite.asked) == 2


async def test_an_order_of_another_variety_is_cancelled_as_that(kite, gateway):
    kite.replies["GET /orders"] = success([row(variety="amo", status="AMO REQ RECEIVED")])
    kite.replies["DELETE /orders/amo/261125000000001"] = success({"order_id": "261125000000001"})
    [order] = await gateway.order_book("s1")
    assert order.status is BrokerStatus.PENDING
    assert (await gateway.cancel("s1", order.broker_order_id, at_ns=0)).result is Result.ACCEPTED


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


async def test_order_calls_keep_to_kites_pace():
    pace, starts = OrderPace(), []
    for _ in range(ORDERS_PER_SECOND + 2):
        assert await pace.turn()
        starts.append(monotonic_ns())
    assert starts[ORDERS_PER_SECOND] - starts[0] >= 990_000_000


async def test_a_minutes_calls_used_up_refuse_entries_but_not_the_way_out():
    pace = OrderPace(per_second=1_000, per_minute=5)
    assert [await pace.turn() for _ in range(5)] == [True] * 5
    assert await pace.turn() is False
    assert await pace.turn(urgent=True) is True


def test_a_gateway_refuses_an_address_that_must_not_get_a_token(kite):
    for endpoints, named in [
        (KiteEndpoints(rest="http://api.kite.trade"), "not encrypted"),
        (KiteEndpoints(rest="https://api.kite.trade/v3"), "has a path"),
        (KiteEndpoints(ticker="ws://ws.kite.trade"), "not encrypted"),
        (KiteEndpoints(rest="api.kite.trade"), "is no https"),
        (KiteEndpoints(rest="https://user:pass@api.kite.trade"), "is no https"),
    ]:
        with pytest.raises(InvalidInput, match=named) as raised:
            KiteClient(kite.settings(endpoints=endpoints))
        assert "pass" not in str(raised.value)
    KiteClient(kite.settings(endpoints=KiteEndpoints()))
    KiteClient(kite.settings(endpoints=KiteEndpoints.at("http://sandbox:9401/")))
