"""Orders at Upstox: what is sent and where, and what each answer means. One of three outcomes, no order sent twice."""

import logging
import threading
from datetime import date

import pytest
from testkit.scripted_server import HTML, Reply, success
from testkit.upstox_server import PAGE, SECRET, TOKEN, UpstoxServer, refusal

from tradebus.brokers.calls import Pacer
from tradebus.brokers.common.access.pace import WindowPace
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox import UpstoxClient, UpstoxEndpoints, UpstoxOrders, UpstoxSettings
from tradebus.brokers.upstox.pace import ORDER_WINDOWS, READ_WINDOWS
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import EventClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import datetime_to_ns, ist_datetime
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerStatus, OrderModification, OrderRequest, Product, Result

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "NSE_EQ|INE009A01021", "NSE_EQ", "INFY", 1, 10)
FUTURE = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29)), "NSE_FO|50978", "NSE_FO", "NIFTY26DECFUT", 65, 10
)
INDEX = ListedInstrument(InstrumentKey(Segment.INDEX, "NIFTY"), "NSE_INDEX|Nifty 50", "NSE_INDEX", "NIFTY", 1, 5)
LISTED = {1: INFY, 2: FUTURE, 3: INDEX}
PLACE, MODIFY, CANCEL = "POST /v3/order/place", "PUT /v3/order/modify", "DELETE /v3/order/cancel"
BOOK, TRADES, TRADES_OF = (
    "GET /v2/order/retrieve-all",
    "GET /v2/order/trades/get-trades-for-day",
    "GET /v2/order/trades",
)
DETAILS = "GET /v2/order/details"
ORDER_ID, TAG = "261125000000001", "tb0123456789abcdefgh"
NOW_NS = 1_795_590_000 * 10**9
PLACED = success({"order_ids": [ORDER_ID]}, metadata={"latency": 3})
DONE = success({"order_id": ORDER_ID}, metadata={"latency": 3})


def instrument_of(segment: str, token: str) -> int | None:
    return {("NSE_EQ", INFY.token): 1, ("NSE_FO", FUTURE.token): 2}.get((segment, token))


def request(**changes) -> OrderRequest:
    fields = {
        "account": "s1", "tag": TAG, "instrument": 1, "symbol": "INFY", "transaction": Transaction.BUY,
        "order_type": OrderType.LIMIT, "quantity": 10, "lot_size": 1, "tick_size_paise": 10, "at_ns": 0,
        "price_paise": 150_010,
    }  # fmt: skip
    return OrderRequest(**(fields | changes))


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


def gateway_over(client: UpstoxClient, *, settle_seconds: float = 0.0, pace: Pacer | None = None) -> UpstoxOrders:
    return UpstoxOrders(
        client.settings, listing_of=LISTED.__getitem__, instrument_of=instrument_of, client=client,
        settle_seconds=settle_seconds, clock=EventClock(NOW_NS), pace=pace,
    )  # fmt: skip


@pytest.fixture
def gateway(client):
    return gateway_over(client)


async def test_a_limit_order_is_sent_once_with_what_was_asked(upstox, gateway):
    upstox.replies[PLACE] = PLACED
    outcome = await gateway.place(request())
    assert (outcome.result, outcome.broker_order_id) == (Result.ACCEPTED, ORDER_ID)
    (asked,) = upstox.asked
    assert asked.json == {
        "quantity": 10, "product": "I", "validity": "DAY", "price": 1500.1, "tag": TAG, "slice": False,
        "instrument_token": INFY.token, "order_type": "LIMIT", "transaction_type": "BUY", "disclosed_quantity": 0,
        "trigger_price": 0.0, "is_amo": False,
    }  # fmt: skip
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"order_type": OrderType.MARKET, "price_paise": None}, {"price": 0.0, "market_protection": -1.0}),
        (
            {"order_type": OrderType.MARKET, "price_paise": None, "market_protection_pct": 2.5},
            {"market_protection": 2.5},
        ),
        (
            {"order_type": OrderType.SL_M, "price_paise": None, "trigger_paise": 149_000},
            {"order_type": "SL-M", "trigger_price": 1490.0, "price": 0.0, "market_protection": -1.0},
        ),
        (
            {"order_type": OrderType.SL, "trigger_paise": 149_000},
            {"order_type": "SL", "trigger_price": 1490.0, "price": 1500.1},
        ),
        ({"product": Product.DELIVERY}, {"product": "D"}),
        (
            {"product": Product.CARRY, "instrument": 2, "quantity": 65},
            {"product": "D", "instrument_token": "NSE_FO|50978"},
        ),
        ({"transaction": Transaction.SELL}, {"transaction_type": "SELL"}),
    ],
)
async def test_each_type_and_product_in_upstoxs_words(upstox, gateway, changes, sent):
    upstox.replies[PLACE] = PLACED
    assert (await gateway.place(request(**changes))).result is Result.ACCEPTED
    body = upstox.asked[0].json
    assert {name: body[name] for name in sent} == sent


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"instrument": 3}, "cannot be traded"),
        ({"instrument": 99}, "99"),
        ({"quantity": 0}, "quantity"),
        ({"price_paise": None}, "price"),
        ({"order_type": OrderType.SL_M, "price_paise": None}, "trigger_price"),
        ({"tag": ""}, "tag"),
        ({"tag": "x" * 41}, "tag"),
        ({"order_type": OrderType.MARKET, "market_protection_pct": 26.0}, "market_protection"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_leaves(upstox, gateway, changes, named):
    outcome = await gateway.place(request(**changes))
    assert outcome.result is Result.REFUSED
    assert "not sent" in outcome.reason
    assert named in outcome.reason
    assert not upstox.asked


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (refusal(400, "UDAPI100038", "Insufficient margin"), Result.REFUSED),
        (refusal(400, "UDAPI100011", "Invalid Instrument key"), Result.REFUSED),
        (refusal(403, "UDAPI100049", "Access from this address is not allowed"), Result.REFUSED),
        (refusal(423, "UDAPI100074", "closed"), Result.REFUSED),
        (refusal(429, "UDAPI10005", "Too Many Request Sent"), Result.REFUSED),
        (refusal(401, "UDAPI100050", "Invalid token"), Result.REFUSED),
        (refusal(500, "UDAPI100500", "Something went wrong"), Result.UNKNOWN),
        (refusal(503, "UDAPI100038", "try later"), Result.UNKNOWN),
        (refusal(200, "UDAPI100038", "an error with 200"), Result.UNKNOWN),
        (Reply(PAGE, 502, HTML), Result.UNKNOWN),
        (Reply(PAGE, 200, HTML), Result.UNKNOWN),
        (Reply(PAGE, 403, HTML), Result.UNKNOWN),
        (Reply(PAGE, 429, HTML), Result.UNKNOWN),
        (Reply(b"", 200), Result.UNKNOWN),
        (Reply(b"", 400), Result.UNKNOWN),
        (Reply(b"null", 200), Result.UNKNOWN),
        (Reply({"status": "success"}), Result.UNKNOWN),
        (Reply({"data": {"order_ids": [ORDER_ID]}}), Result.UNKNOWN),
        (success(None), Result.UNKNOWN),
        (success({"order_ids": []}), Result.UNKNOWN),
        (success({"order_ids": ORDER_ID}), Result.UNKNOWN),
        (success({"order_ids": [261125000000001]}), Result.UNKNOWN),
        (success({"order_ids": [ORDER_ID, "261125000000002"]}), Result.UNKNOWN),
        (Reply({"status": "partial_success", "data": {"order_ids": [ORDER_ID]}, "errors": [{}]}, 207), Result.UNKNOWN),
        (Reply({"status": "success", "data": {"order_ids": [ORDER_ID]}}, cut=20), Result.UNKNOWN),
        (Reply({"status": "success"}, cut=0), Result.UNKNOWN),
        (Reply({"status": "error", "errors": "no"}, 400), Result.UNKNOWN),
        (Reply({"status": "error", "errors": [{"message": "no code"}]}, 400), Result.UNKNOWN),
        (
            Reply(b'{"status":"success","data":{"order_ids":["' + b"9" * 10_000_000 + b'"]}}', cut=9_999_999),
            Result.UNKNOWN,
        ),
        (Reply(b"[" * 100_000), Result.UNKNOWN),
    ],
)
async def test_only_upstoxs_own_no_is_a_refusal(upstox, gateway, reply, result):
    upstox.replies[PLACE] = reply
    outcome = await gateway.place(request())
    assert outcome.result is result
    assert outcome.broker_order_id is None
    assert outcome.reason
    assert len(upstox.calls("POST", "/v3/order/place")) == 1


@pytest.mark.parametrize("kind", [MODIFY, CANCEL])
@pytest.mark.parametrize("reply", [Reply(b"", cut=0), Reply(PAGE, 502), Reply(PAGE, 503)])
async def test_a_change_that_was_not_answered_is_unknown_and_not_sent_again(upstox, gateway, kind, reply):
    upstox.replies |= {PLACE: PLACED, kind: reply}
    placed = await gateway.place(request())
    assert placed.broker_order_id is not None
    if kind == MODIFY:
        outcome = await gateway.modify("s1", placed.broker_order_id, OrderModification(5, 150_000, None, 0))
    else:
        outcome = await gateway.cancel("s1", placed.broker_order_id, at_ns=0)
    assert outcome.result is Result.UNKNOWN
    assert len(upstox.calls(*kind.split(" "))) == 1  # the SDK's own transport would have sent it four times


async def test_a_slow_answer_is_unknown_and_ends_in_time(upstox):
    client = upstox.client(request_seconds=0.2)
    upstox.replies[PLACE] = Reply(PLACED.body, drip_seconds=0.05)
    outcome = await gateway_over(client).place(request())
    client.close()
    assert outcome.result is Result.UNKNOWN
    assert "no whole answer" in outcome.reason


async def test_a_redirected_order_goes_nowhere(upstox, gateway):
    with UpstoxServer() as other:
        upstox.replies[PLACE] = Reply(b"", 307, headers={"Location": f"{other.url}/v3/order/place"})
        outcome = await gateway.place(request())
        assert outcome.result is Result.UNKNOWN
        assert not other.asked


async def test_orders_go_to_the_order_host_and_everything_else_to_the_other(upstox):
    with UpstoxServer() as orders_host:
        endpoints = UpstoxEndpoints(
            rest=upstox.url, orders=orders_host.url, instruments=upstox.url, login=f"{upstox.url}/login"
        )
        client = upstox.client(endpoints=endpoints)
        orders_host.replies |= {PLACE: PLACED, MODIFY: DONE, CANCEL: DONE}
        upstox.replies[BOOK] = success([])
        gateway = gateway_over(client)
        assert (await gateway.place(request())).result is Result.ACCEPTED
        assert (await gateway.modify("s1", ORDER_ID, OrderModification(5, 150_000, None, 0))).result is Result.ACCEPTED
        assert (await gateway.cancel("s1", ORDER_ID, at_ns=0)).result is Result.ACCEPTED
        assert await gateway.order_book("s1") == []
        client.close()
        assert [asked.path for asked in orders_host.asked] == [
            "/v3/order/place",
            "/v3/order/modify",
            "/v3/order/cancel",
        ]
        assert [asked.path for asked in upstox.asked] == ["/v2/order/retrieve-all"]


async def test_a_configuration_turned_to_another_host_sends_nothing(upstox, client):
    gateway = gateway_over(client)
    with UpstoxServer() as other:
        for change in (
            {"order_host": other.url},
            {"host": other.url},
            {"sandbox": True},
            {"verify_ssl": False},
            {"debug": True},
        ):
            sdk = client.sdk()
            before = {name: getattr(sdk.configuration, name) for name in change}
            for name, value in change.items():
                setattr(sdk.configuration, name, value)
            outcome = await gateway.place(request())
            assert outcome.result is Result.REFUSED
            assert "nothing is sent" in outcome.reason
            for name, value in before.items():
                setattr(sdk.configuration, name, value)
        assert not other.asked
    assert not upstox.asked


async def test_an_earlier_configuration_of_the_process_does_not_matter(upstox):
    """The SDK hands out copies of the first Configuration ever made, sandbox or not."""
    import upstox_client

    first = upstox_client.Configuration()
    first.host = first.order_host = "http://127.0.0.1:9"
    first.sandbox = True
    upstox_client.Configuration.set_default(first)
    try:
        client = upstox.client()
        upstox.replies[PLACE] = PLACED
        assert (await gateway_over(client).place(request())).result is Result.ACCEPTED
        client.close()
    finally:
        upstox_client.Configuration.set_default(None)


async def test_two_logins_keep_their_tokens(upstox):
    upstox.replies[PLACE] = PLACED
    clients = [upstox.client(access_token=f"token-of-login-{number}") for number in range(2)]
    for client in (*clients, *clients[::-1]):
        await gateway_over(client).place(request())
    sent = [asked.headers["Authorization"] for asked in upstox.asked]
    assert sent == [f"Bearer token-of-login-{number}" for number in (0, 1, 1, 0)]
    for client in clients:
        client.close()


async def test_the_sdk_leaves_no_threads_and_no_log_handlers(client):
    before = threading.active_count()
    client.sdk()
    assert threading.active_count() <= before
    for name in ("urllib3", "upstox_client"):
        assert not any(isinstance(handler, logging.StreamHandler) for handler in logging.getLogger(name).handlers)


async def test_no_secret_is_in_a_reason(upstox, client, gateway):
    other = gateway_over(client, pace=WindowPace(()))
    upstox.replies[PLACE] = refusal(400, "UDAPI100038", f"bad token {TOKEN} and secret {SECRET}")
    outcome = await gateway.place(request())
    assert TOKEN not in outcome.reason
    assert SECRET not in outcome.reason
    assert TOKEN not in repr(client.settings)
    for length in range(250, 320):  # where a long text is cut, a secret is not cut in two
        upstox.replies[PLACE] = refusal(400, "UDAPI100038", f"{'x' * length} {TOKEN} more")
        assert TOKEN[:8] not in (await other.place(request())).reason


async def test_a_refused_token_is_refreshed_once_and_the_order_sent_again(upstox):
    async def refresh() -> str:
        return "token-after-refresh"

    client = upstox.client(refresh=refresh)
    upstox.replies[PLACE] = [refusal(401, "UDAPI100050"), PLACED]
    outcome = await gateway_over(client).place(request())
    client.close()
    assert outcome.result is Result.ACCEPTED
    assert [asked.headers["Authorization"] for asked in upstox.asked] == [
        f"Bearer {TOKEN}",
        "Bearer token-after-refresh",
    ]


async def test_a_token_that_stays_refused_halts_everything(upstox, gateway):
    upstox.replies |= {PLACE: refusal(401, "UDAPI100050"), BOOK: success([])}
    assert (await gateway.place(request())).result is Result.REFUSED
    assert (await gateway.place(request())).result is Result.REFUSED
    assert await gateway.order_book("s1") is None
    assert len(upstox.asked) == 1


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


async def test_no_window_sees_more_calls_than_it_may():
    pace = WindowPace(((5, 0.2), (8, 0.5)))
    starts = []
    for _ in range(17):
        await pace.turn()
        starts.append(monotonic_ns())
    assert all(starts[place + 5] - starts[place] >= 0.19e9 for place in range(12))
    assert all(starts[place + 8] - starts[place] >= 0.49e9 for place in range(9))


def test_the_windows_are_below_what_upstox_allows():
    assert all(count < 10 for count, seconds in ORDER_WINDOWS if seconds <= 1)
    assert all(count < {1.0: 50, 60.0: 500}[seconds] for count, seconds in READ_WINDOWS)


@pytest.mark.parametrize(
    "endpoints",
    [
        UpstoxEndpoints(rest="http://api.upstox.com"),
        UpstoxEndpoints(orders="http://api-hft.upstox.com"),
        UpstoxEndpoints(orders="https://api-hft.upstox.com/v3"),
        UpstoxEndpoints(instruments="ftp://assets"),
        UpstoxEndpoints(login="https://user:word@host/"),
    ],
)
def test_addresses_that_would_leak_a_token_are_refused(endpoints):
    with pytest.raises(InvalidInput, match="upstox"):
        UpstoxClient(UpstoxSettings("key", access_token=TOKEN, endpoints=endpoints))
