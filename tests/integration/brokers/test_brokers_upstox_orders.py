"""Orders at Upstox: what is sent and where, and what each answer means. One of three outcomes, no order sent twice."""

import logging
import threading

import pytest
from testkit.scripted_server import HTML, Reply, success
from testkit.simulated import PatientTimers, through
from testkit.upstox_orders import (
    BOOK,
    CANCEL,
    DONE,
    INFY,
    MODIFY,
    ORDER_ID,
    PLACE,
    PLACED,
    TAG,
    gateway_over,
    request,
)
from testkit.upstox_server import PAGE, SECRET, TOKEN, UpstoxServer, refusal
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.common.access.pace import WindowPace
from tradebus.brokers.upstox import UpstoxClient, UpstoxEndpoints, UpstoxSettings
from tradebus.brokers.upstox.pace import ORDER_WINDOWS, READ_WINDOWS
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import OrderModification, Product, Result


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


async def test_an_answer_about_another_order_says_nothing_of_this_one(upstox, gateway):
    upstox.replies |= {PLACE: PLACED, MODIFY: success({"order_id": "8"}), CANCEL: success({"order_id": "8"})}
    await gateway.place(request())
    change = OrderModification(5, 150_000, None, 0)
    for outcome in (await gateway.modify("s1", ORDER_ID, change), await gateway.cancel("s1", ORDER_ID, at_ns=0)):
        assert (outcome.result, outcome.broker_order_id) == (Result.UNKNOWN, None)
        assert "about order 8" in outcome.reason


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
    other = gateway_over(client, pace=WindowPace((), timers=WALL_TIMERS))
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


async def test_no_window_sees_more_calls_than_it_may():
    timers, starts = PatientTimers(), []
    pace = WindowPace(READ_WINDOWS, timers=timers)

    async def turns() -> None:
        while len(starts) < 1_500:
            await pace.turn()
            starts.append(timers.monotonic_ns())

    await through(timers, turns())
    for count, seconds in READ_WINDOWS:
        assert all(later - earlier >= seconds * 1e9 for earlier, later in zip(starts, starts[count:], strict=False))
    assert starts[-1] < 240e9, "the windows let more through"


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
        UpstoxClient(UpstoxSettings("key", access_token=TOKEN, endpoints=endpoints), timers=WALL_TIMERS)
