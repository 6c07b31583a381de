"""Replies of every kind, whole and broken: nothing is taken for filled or rejected that is not, and only BrokerError
leaves a read."""

import asyncio
import json
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.kite_server import KiteServer
from testkit.scripted_server import CSV, HTML, JSON, Reply
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.errors import BrokerError
from tradebus.brokers.kite import KiteAccount, KiteOrders, KiteReference, KiteSession, parse_instruments, status_of
from tradebus.brokers.kite.limits import OrderPace
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerStatus, OrderRequest, Result

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
TAG = "tb0123456789abcdefgh"
ROW = {
    "order_id": "261125000000001", "status": "OPEN", "status_message": None, "order_timestamp": "2026-11-25 10:00:00",
    "exchange_update_timestamp": "2026-11-25 10:00:01", "variety": "regular", "exchange": "NSE",
    "instrument_token": 408065, "transaction_type": "BUY", "quantity": 10, "filled_quantity": 0, "trigger_price": 0,
    "tag": TAG, "placed_by": "AB1234",
}  # fmt: skip
TRADE = {
    "trade_id": "1", "order_id": "261125000000001", "average_price": 1500.05, "quantity": 10,
    "fill_timestamp": "2026-11-25 10:00:02", "order_timestamp": "10:00:00",
}  # fmt: skip
WORDS = ["OPEN", "COMPLETE", "REJECTED", "CANCELLED", "UPDATE", "TRIGGER PENDING", " rejected ", "REJECTED?", "", "NEW"]
odd = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=20), st.just([]),
    st.just({}), st.lists(st.none(), max_size=2), st.just({"a": 1}),
)  # fmt: skip
REFUSING = {
    "InputException", "OrderException", "MarginException", "HoldingException", "PermissionException", "UserException",
    "TwoFAException", "GeneralException", "TokenException",
}  # fmt: skip


class Unhurried(OrderPace):
    def __init__(self) -> None:
        super().__init__(timers=WALL_TIMERS)

    async def turn(self, *, urgent: bool = False) -> bool:
        return True


class Desk:
    """Everything of one login against a server that is played by hand, on a loop of its own."""

    def __init__(self, server: KiteServer) -> None:
        self.server, self.loop = server, asyncio.new_event_loop()
        self.client = server.client()
        self.orders = KiteOrders(
            self.client, listing_of=lambda _: INFY, instrument_of=lambda *_: 1, settle_seconds=0.0,
            pace=Unhurried(),
        )  # fmt: skip
        self.reference = KiteReference(self.client)
        self.account = KiteAccount(self.client)
        self.session = KiteSession(self.client)

    def run(self, coroutine):
        self.client.calls.renewed()
        return self.loop.run_until_complete(coroutine)


@pytest.fixture(scope="module")
def desk():
    with KiteServer() as server:
        desk = Desk(server)
        yield desk
        desk.client.close()
        desk.loop.close()


def place(desk):
    request = OrderRequest("s1", TAG, 1, "INFY", Transaction.BUY, OrderType.LIMIT, 10, 1, 5, 0, price_paise=100_000)
    return desk.run(desk.orders.place(request))


@st.composite
def placement_replies(draw):
    status = draw(st.sampled_from([200, 200, 200, 201, 400, 400, 403, 404, 408, 422, 429, 500, 502, 503]))
    kind = draw(st.one_of(st.sampled_from([*sorted(REFUSING), "NetworkException", "DataException"]), odd))
    body = draw(
        st.one_of(
            st.just({"status": "success", "data": {"order_id": "7"}}),
            st.builds(lambda value: {"status": "success", "data": {"order_id": value}}, odd),
            st.builds(lambda value: {"status": "success", "data": value}, odd),
            st.builds(lambda text: {"status": "error", "message": text, "error_type": kind}, st.just("no") | odd),
            st.builds(lambda word: {"status": word, "message": "no", "error_type": kind}, odd),
            odd,
        )
    )
    text = json.dumps(body).encode()
    sent = text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text
    return Reply(sent, status, draw(st.sampled_from([JSON, JSON, JSON, HTML, CSV, None])))


def parsed(reply):
    with suppress(ValueError):
        return json.loads(reply.body)


@given(placement_replies())
def test_a_placement_is_accepted_or_refused_only_by_kites_whole_word(desk, reply):
    desk.server.replies["POST /orders/regular"] = reply
    outcome = place(desk)
    said = parsed(reply)
    if outcome.result is Result.ACCEPTED:
        assert 200 <= reply.status < 300
        assert outcome.broker_order_id == str(said["data"]["order_id"])
        assert "error" not in said["status"] if isinstance(said["status"], str) else True
    if outcome.result is Result.REFUSED:
        assert 400 <= reply.status < 500
        assert said["status"] == "error"
        assert isinstance(said["message"], str)
        assert isinstance(said["error_type"], str)
        assert said["error_type"] in REFUSING or reply.status in (403, 429)
    if reply.status == 400 and said == {"status": "error", "message": "no", "error_type": "MarginException"}:
        assert outcome.result is Result.REFUSED


@given(
    changes=st.dictionaries(st.sampled_from(sorted(ROW)), odd, max_size=3),
    missing=st.lists(st.sampled_from(sorted(ROW)), max_size=2),
    word=st.sampled_from(WORDS),
    filled=st.integers(-1, 11),
    trades=st.lists(st.fixed_dictionaries({"trade_id": st.sampled_from("123"), "quantity": st.integers(-1, 11) | odd})),
    broken_trade=st.dictionaries(st.sampled_from(sorted(TRADE)), odd, max_size=2),
)
def test_a_row_of_the_book_is_final_only_when_quantities_and_fills_say_so(
    desk, changes, missing, word, filled, trades, broken_trade
):
    row = ROW | {"status": word, "filled_quantity": filled} | changes
    row = {name: value for name, value in row.items() if name not in missing}
    rows = [TRADE | trade for trade in trades] + ([TRADE | broken_trade] if broken_trade else [])
    desk.server.replies["GET /orders"] = Reply({"status": "success", "data": [row]})
    trade_reply = Reply({"status": "success", "data": rows})
    desk.server.replies["GET /trades"] = desk.server.replies["GET /orders/261125000000001/trades"] = trade_reply
    book = desk.run(desk.orders.order_book("s1"))
    lookup = desk.run(desk.orders.find_by_tag("s1", TAG))
    if lookup.order is None and lookup.definitive:
        assert row.get("tag") != TAG
    for order in [*(book or []), *([lookup.order] if lookup.order else [])]:
        total = sum(fill.quantity for fill in order.fills)
        assert all(fill.quantity > 0 and fill.price_paise > 0 for fill in order.fills)
        if order.status is BrokerStatus.FILLED:
            assert order.quantity == order.filled_quantity == total == row["quantity"]
        if order.status is BrokerStatus.REJECTED:
            assert row["status"].strip().upper() == "REJECTED"
            assert row["filled_quantity"] == 0
            assert order.fills == ()
        if order.status is BrokerStatus.CANCELLED:
            assert row["status"] == "CANCELLED" or (row["status"].strip().upper() == "REJECTED" and total > 0)
            assert order.filled_quantity == total < order.quantity


def mutated(draw, value):
    """One part of a reply replaced, removed or left."""
    if isinstance(value, dict) and value:
        name = draw(st.sampled_from(sorted(value)))
        rest = {key: part for key, part in value.items() if key != name}
        what = draw(st.integers(0, 3))
        return rest if what == 0 else rest | {name: draw(odd) if what == 1 else mutated(draw, value[name])}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(draw, value[at]), *value[at + 1 :]]
    return draw(odd)


QUOTE = {
    "instrument_token": 408065, "timestamp": "2026-11-25 10:00:00", "last_trade_time": "2026-11-25 09:59:59",
    "last_price": 1412.95, "last_quantity": 5, "buy_quantity": 0, "sell_quantity": 5191, "volume": 7360198,
    "average_price": 1412.47, "oi": 0, "oi_day_high": 0, "oi_day_low": 0,
    "ohlc": {"open": 1396, "high": 1421.75, "low": 1395.55, "close": 1389.65},
    "depth": {side: [{"price": 1412.95, "quantity": 1, "orders": 1}] * 5 for side in ("buy", "sell")},
}  # fmt: skip
POSITION = {
    "tradingsymbol": "INFY", "exchange": "NSE", "instrument_token": 408065, "product": "MIS", "quantity": -5,
    "average_price": 161.05, "buy_quantity": 1, "sell_quantity": 6, "realised": -0.05, "unrealised": 7.5,
}  # fmt: skip
REPLIES = {
    "margins": {"equity": {"net": 99725.05000000002, "utilised": {"debits": 145706.55}}},
    "positions": {"net": [POSITION], "day": []},
    "holdings": [
        {"tradingsymbol": "INFY", "isin": "INE009A01021", "quantity": 1, "t1_quantity": 2, "average_price": 161,
         "last_price": 352.95}
    ],
    "quotes": {"NSE:INFY": QUOTE},
    "history": {"candles": [["2026-11-24T09:15:00+0530", 100, 101.05, 99.95, 100.5, 1632, 5]] * 2},
    "login": {"access_token": "new-secret-token", "login_time": "2026-11-25 08:00:00"},
    "check": {"user_id": "AB1234"},
}  # fmt: skip


async def ask(desk, what):
    match what:
        case "margins":
            return await desk.account.margins()
        case "positions":
            return await desk.account.positions()
        case "holdings":
            return await desk.account.holdings()
        case "quotes":
            return await desk.reference.quotes([INFY])
        case "history":
            day_ns = 86_400 * 10**9
            return await desk.reference.history(INFY, timeframe_seconds=60, from_ns=20_000 * day_ns,
                                                to_ns=20_030 * day_ns)  # fmt: skip
        case "login":
            return await desk.session.complete_login("requesttoken")
    return await desk.session.check()


@pytest.mark.parametrize("what", sorted(REPLIES))
def test_the_documented_reply_is_read(desk, what):
    data = REPLIES[what]
    desk.server.otherwise = lambda asked: Reply({"status": "success", "data": data})
    assert desk.run(ask(desk, what)) is not None


@pytest.mark.parametrize("what", sorted(REPLIES))
def test_only_broker_errors_leave_a_read(desk, what):
    data = REPLIES[what]

    @given(st.data())
    def check(more):
        body = {"status": "success", "data": mutated(more.draw, data)}
        if more.draw(st.integers(0, 5)) == 0:
            body = more.draw(odd)
        text = json.dumps(body).encode()
        cut = more.draw(st.integers(0, len(text))) if more.draw(st.integers(0, 5)) == 0 else len(text)
        kind = more.draw(st.sampled_from([JSON, JSON, JSON, JSON, HTML, CSV, None]))
        status = more.draw(st.sampled_from([200, 200, 200, 200, 400, 404]))
        desk.server.otherwise = lambda asked: Reply(text[:cut], status, kind)
        with suppress(BrokerError):
            desk.run(ask(desk, what))

    check()


HEADER = (
    b"instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,instrument_type,"
    b"segment,exchange\n"
)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_dump_or_are_refused_by_name(body, with_header):
    with suppress(BrokerError):
        listed, left_out = parse_instruments(HEADER + body if with_header else body)
        assert left_out >= 0
        for row in listed:
            assert InstrumentKey.parse(str(row.key)) == row.key


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["408065", "12602626", "0", "x", "99999999999", ""]),
            st.sampled_from(["INFY", "NIFTY26DECFUT", "A:B", " ", "NIFTY 50"]),
            st.sampled_from(["NIFTY", "", "a,b"]),
            st.sampled_from(["2026-12-29", "", "29-12-2026", "2026-02-30"]),
            st.sampled_from(["26000.0", "0", "-5", "nan", "1e400", "850.5"]),
            st.sampled_from(["0.05", "0", "-1", "x", "inf"]),
            st.sampled_from(["65", "1", "0", "1.5", "1e9"]),
            st.sampled_from(["EQ", "FUT", "CE", "PE", "XX", ""]),
            st.sampled_from(["NSE", "NFO-FUT", "NFO-OPT", "INDICES", "BFO-OPT", "CDS-FUT", "MCX"]),
            st.sampled_from(["NSE", "NFO", "BFO", "CDS", "MCX", ""]),
        ),
        max_size=8,
    )
)
def test_rows_of_a_dump_are_read_whole_or_left_out(rows):
    lines = [
        f'{token},1,"{symbol}","{name}",0,{expiry},{strike},{tick},{lot},{kind},{segment},{exchange}'
        for token, symbol, name, expiry, strike, tick, lot, kind, segment, exchange in rows
    ]
    listed, left_out = parse_instruments(HEADER + "\n".join(lines).encode())
    assert len(listed) + left_out <= len(rows)
    assert len({row.key for row in listed}) == len(listed)
    for row in listed:
        assert row.lot_size > 0
        assert row.tick_size_paise > 0
        assert InstrumentKey.parse(str(row.key)) == row.key
        if row.key.is_derivative:
            assert row.key.expiry == date(2026, 12, 29)


@given(st.text(max_size=30) | st.sampled_from(WORDS), st.integers(-5, 20), st.integers(-5, 20))
def test_quantities_decide_what_is_filled_and_no_strange_word_ends_an_order(word, quantity, filled):
    status = status_of(word, quantity=quantity, filled_quantity=filled)
    if status is BrokerStatus.FILLED:
        assert filled == quantity > 0
    if status is BrokerStatus.REJECTED:
        assert (word.strip().upper(), filled) == ("REJECTED", 0)
    if status is BrokerStatus.CANCELLED:
        partly = word.strip().upper() == "REJECTED" and filled > 0
        assert "CANCELLED" in word.upper() or "LAPSED" in word.upper() or partly


@pytest.mark.parametrize(
    ("word", "filled", "expected"),
    [
        ("PUT ORDER REQ RECEIVED", 0, BrokerStatus.PENDING),
        ("VALIDATION PENDING", 0, BrokerStatus.PENDING),
        ("OPEN PENDING", 0, BrokerStatus.PENDING),
        ("AMO REQ RECEIVED", 0, BrokerStatus.PENDING),
        ("open", 3, BrokerStatus.OPEN),
        ("UPDATE", 3, BrokerStatus.OPEN),
        ("MODIFY VALIDATION PENDING", 0, BrokerStatus.OPEN),
        ("TRIGGER PENDING", 0, BrokerStatus.TRIGGER_PENDING),
        ("CANCEL PENDING", 0, BrokerStatus.CANCEL_PENDING),
        ("COMPLETE", 10, BrokerStatus.FILLED),
        ("UPDATE", 10, BrokerStatus.FILLED),
        ("COMPLETE", 9, BrokerStatus.UNKNOWN),
        ("CANCELLED", 4, BrokerStatus.CANCELLED),
        ("CANCELLED AMO", 0, BrokerStatus.CANCELLED),
        ("REJECTED", 0, BrokerStatus.REJECTED),
        ("REJECTED", 1, BrokerStatus.CANCELLED),
        ("SOMETHING NEW", 0, BrokerStatus.UNKNOWN),
        ("OPEN", 11, BrokerStatus.UNKNOWN),
    ],
)
def test_kites_words_have_one_meaning(word, filled, expected):
    assert status_of(word, quantity=10, filled_quantity=filled) is expected
