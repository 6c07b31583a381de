"""Orders at Kite: what is sent, and what each answer means. One outcome of three, and no order is sent twice."""

import threading

import pytest
from testkit.kite_orders import PLACE, TAG, make, request, row
from testkit.kite_server import TOKEN, refusal
from testkit.scripted_server import HTML, Reply, success
from testkit.simulated import PatientTimers, through
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.kite import KiteClient, KiteEndpoints
from tradebus.brokers.kite.limits import ORDERS_PER_SECOND, OrderPace
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import BrokerStatus, OrderModification, Product, Result


@pytest.fixture
def gateway(kite):
    return make(kite)


class Unhurried(OrderPace):
    def __init__(self) -> None:
        super().__init__(timers=WALL_TIMERS)

    async def turn(self, *, urgent: bool = False) -> bool:
        return True


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


async def test_an_answer_about_another_order_says_nothing_of_this_one(kite, gateway):
    kite.otherwise = lambda _asked: success({"order_id": "8"})
    change = OrderModification(quantity=5, price_paise=None, trigger_paise=148_000, at_ns=0)
    for outcome in (await gateway.modify("s1", "7", change), await gateway.cancel("s1", "7", at_ns=0)):
        assert (outcome.result, outcome.broker_order_id) == (Result.UNKNOWN, None)
        assert "about order 8" in outcome.reason


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


async def test_order_calls_keep_to_kites_pace():
    timers, starts = PatientTimers(), []
    pace = OrderPace(timers=timers)

    async def turns() -> None:
        while len(starts) < 5 * ORDERS_PER_SECOND:
            assert await pace.turn()
            starts.append(timers.monotonic_ns())

    await through(timers, turns())
    assert starts[: ORDERS_PER_SECOND + 1] == [0] * ORDERS_PER_SECOND + [10**9]
    assert all(later - earlier >= 10**9 for earlier, later in zip(starts, starts[ORDERS_PER_SECOND:], strict=False))


async def test_a_minutes_calls_used_up_refuse_entries_but_not_the_way_out():
    timers = PatientTimers()
    pace = OrderPace(timers=timers, per_second=1_000, per_minute=5)
    assert [await pace.turn() for _ in range(5)] == [True] * 5
    timers.advance(59_999_999_999)
    assert await pace.turn() is False
    assert await pace.turn(urgent=True) is True
    timers.advance(60_000_000_000)
    assert [await pace.turn() for _ in range(5)] == [True] * 4 + [False], "one of the five was urgent, just now"


def test_a_gateway_refuses_an_address_that_must_not_get_a_token(kite):
    for endpoints, named in [
        (KiteEndpoints(rest="http://api.kite.trade"), "not encrypted"),
        (KiteEndpoints(rest="https://api.kite.trade/v3"), "has a path"),
        (KiteEndpoints(ticker="ws://ws.kite.trade"), "not encrypted"),
        (KiteEndpoints(rest="api.kite.trade"), "is no https"),
        (KiteEndpoints(rest="https://user:pass@api.kite.trade"), "is no https"),
    ]:
        with pytest.raises(InvalidInput, match=named) as raised:
            KiteClient(kite.settings(endpoints=endpoints), timers=WALL_TIMERS)
        assert "pass" not in str(raised.value)
    KiteClient(kite.settings(endpoints=KiteEndpoints()), timers=WALL_TIMERS)
    KiteClient(kite.settings(endpoints=KiteEndpoints.at("http://sandbox:9401/")), timers=WALL_TIMERS)
