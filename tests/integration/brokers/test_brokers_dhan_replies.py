"""Whatever a reply of Dhan's looks like: no exception out of the order gateway, never a wrong REJECTED or FILLED."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.dhan_desk import LISTED, Answer, fake_dhan, instrument_of, order_row, request, trade_row

from tradebus.brokers.dhan import DhanAccount, DhanOrders, DhanOrderUpdates, DhanReference, status_of
from tradebus.brokers.dhan.history import candles_of
from tradebus.brokers.dhan.quotes import chain_of, quotes_of
from tradebus.brokers.errors import BrokerError, NoAnswer, Throttled
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, Outcome, Result

SHARED = Path(__file__).parents[3].parent / "shared" / "fixtures" / "dhan"
WORDS = ["TRANSIT", "PENDING", "CLOSED", "TRIGGERED", "REJECTED", "CANCELLED", "PART_TRADED", "TRADED", "EXPIRED",
         "MODIFIED", "INACTIVE", "traded", "Cancelled", " Rejected ", "FROZEN", ""]  # fmt: skip
odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just([]), st.just({}),
    st.sampled_from(["NaN", "1e400", "-1", "٣", "0x10", "9" * 400]),
)  # fmt: skip
json_values = st.recursive(odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


@pytest.fixture(scope="module")
def dhan():
    with fake_dhan() as server:
        yield server


@pytest.fixture(scope="module")
def client(dhan):
    """Reads are tried again without waiting and without pacing: what is tested is what is made of a reply."""
    client = dhan.client()
    client.other_pacer = client.quotes_pacer = client.history_pacer = client.chain_pacer = None  # type: ignore[assignment]
    yield client
    client.close()


@pytest.fixture(scope="module")
def orders(client):
    return DhanOrders(client, listing_of=LISTED.__getitem__, instrument_of=instrument_of)


def damaged(row):
    """A row with fields missing or of other types, in any combination."""
    return st.tuples(
        st.sets(st.sampled_from(sorted(row))),
        st.dictionaries(st.sampled_from(sorted(row)), odd),
        st.sampled_from(WORDS),
        st.integers(0, 12),
    ).map(
        lambda drawn: {
            name: value
            for name, value in (row | {"orderStatus": drawn[2], "filledQty": drawn[3]} | drawn[1]).items()
            if name not in drawn[0]
        }
    )


def bodies(row):
    """Whole bodies: documented rows damaged, other JSON, text cut short, HTML."""
    documents = st.one_of(damaged(row), st.lists(damaged(row), max_size=3), json_values)
    texts = documents.map(lambda value: json.dumps(value).encode())
    cut = st.tuples(texts, st.integers(0, 200)).map(lambda drawn: drawn[0][: drawn[1]])
    return st.one_of(texts, cut, st.sampled_from([b"", b"<html></html>", b"\xff\xfe", b"null", b"[" * 5_000]))


def truth(row):
    """What a row may be told as, by its own word and quantities; read as plainly as can be."""
    word = str(row.get("orderStatus")).strip().upper()
    filled, quantity = row.get("filledQty"), row.get("quantity")
    return word, _count(filled), _count(quantity)


def _count(value):
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number == number and abs(number) < 1e15 else None


def assert_honest(order: BrokerOrder, row):
    word, filled, quantity = truth(row)
    if order.status is BrokerStatus.REJECTED:
        assert word == "REJECTED"
        assert filled == 0
    if order.status is BrokerStatus.FILLED:
        assert filled == quantity
        assert filled > 0
    if order.status is BrokerStatus.CANCELLED:
        assert word in ("CANCELLED", "EXPIRED", "REJECTED")
        assert filled is not None
    if order.status.final:
        assert sum(fill.quantity for fill in order.fills) == order.filled_quantity


@settings(max_examples=150)
@given(body=bodies({"orderId": "1", "orderStatus": "TRANSIT"}), status=st.sampled_from([200, 201, 400, 403, 404, 500]))
async def test_no_answer_to_an_order_raises_or_is_a_wrong_refusal(dhan, orders, body, status):
    dhan.answers = {"*": Answer(status, body)}
    for outcome in (
        await orders.place(request()),
        await orders.modify("A", "1", OrderModification(1, 100, None, 1)),
        await orders.cancel("A", "1", at_ns=1),
    ):
        assert isinstance(outcome, Outcome)
        said = _parsed(body)
        if outcome.result is Result.ACCEPTED:
            assert status < 300
            assert str(said["orderId"]).strip() == outcome.broker_order_id
        if outcome.result is Result.REFUSED:
            assert status in (400, 403, 404) or said.get("errorCode") or said.get("status")


async def broker_error(read):
    try:
        await read()
    except BrokerError as error:
        return error


def _parsed(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@settings(max_examples=150)
@given(body=bodies(order_row()), trades=bodies(trade_row()))
async def test_no_order_by_tag_raises_or_is_told_wrongly(dhan, orders, body, trades):
    dhan.answers = {
        "GET /v2/orders/external/tb0001": Answer(200, body),
        "GET /v2/orders": Answer.of([]),
        "*": Answer(200, trades),
    }
    lookup = await orders.find_by_tag("A", "tb0001")
    if lookup.order is not None:
        said = _parsed(body)
        rows = said if isinstance(said, list) else [said]
        own = [row for row in rows if str(row.get("orderId")).strip() == lookup.order.broker_order_id]
        assert own
        if len(own) == 1:
            assert_honest(lookup.order, own[0])


@settings(max_examples=150)
@given(body=bodies(order_row()), trades=bodies(trade_row()))
async def test_no_order_book_raises_or_is_told_wrongly(dhan, orders, body, trades):
    dhan.answers = {"GET /v2/orders": Answer(200, body), "GET /v2/trades/": Answer(200, trades)}
    book = await orders.order_book("A")
    if book is not None:
        said = _parsed(body)
        assert len(book) == (len(said) if isinstance(said, list) else 0)
        for order, row in zip(book, said or (), strict=True):
            assert_honest(order, row)


@settings(max_examples=300)
@given(word=st.sampled_from(WORDS) | st.text(max_size=12), filled=st.none() | st.integers(-2, 12),
       quantity=st.none() | st.integers(-2, 12), kind=st.sampled_from(["LIMIT", "STOP_LOSS", None, 3]))  # fmt: skip
def test_a_status_is_final_only_by_word_and_quantity(word, filled, quantity, kind):
    status = status_of(word, quantity=quantity, filled_quantity=filled, order_type=kind)
    if status is BrokerStatus.FILLED:
        assert filled == quantity
        assert quantity is not None
        assert quantity > 0
    if status is BrokerStatus.REJECTED:
        assert word.strip().upper() == "REJECTED"
        assert filled == 0
    if word.strip().upper() not in {each.strip().upper() for each in WORDS if each.strip()} - {"FROZEN", "CLOSED"}:
        assert status is BrokerStatus.UNKNOWN or word.strip().replace(" ", "_").replace("-", "_").upper() in (
            "PART_TRADED", "CONFIRM",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("word", "quantity", "filled", "status"),
    [
        ("TRANSIT", 10, 0, "PENDING"), ("TRANSIT", 10, 4, "OPEN"),
        ("PENDING", 10, 0, "OPEN"), ("PENDING", 10, 4, "OPEN"),
        ("PART_TRADED", 10, 4, "OPEN"), ("PENDING", 10, 10, "FILLED"), ("TRADED", 10, 10, "FILLED"),
        ("TRADED", 10, 4, "UNKNOWN"), ("TRADED", 10, None, "UNKNOWN"), ("TRADED", 0, 0, "UNKNOWN"),
        ("CANCELLED", 10, 4, "CANCELLED"), ("CANCELLED", 10, 10, "FILLED"), ("EXPIRED", 10, 0, "CANCELLED"),
        ("REJECTED", 10, 0, "REJECTED"), ("REJECTED", 10, 4, "CANCELLED"), ("REJECTED", None, None, "UNKNOWN"),
        ("REJECTED", 10, 12, "UNKNOWN"), ("CLOSED", 10, 10, "UNKNOWN"), ("Something New", 10, 10, "UNKNOWN"),
    ],
)  # fmt: skip
def test_the_status_map(word, quantity, filled, status):
    assert status_of(word, quantity=quantity, filled_quantity=filled).value == status


def test_a_resting_stop_waits_for_its_trigger():
    assert status_of("PENDING", quantity=1, filled_quantity=0, order_type="STOP_LOSS_MARKET").value == "TRIGGER_PENDING"


@settings(max_examples=200)
@given(bodies({
    "exchange": "NSE", "segment": "E", "securityId": "1594", "orderNo": "1", "txnType": "B", "quantity": 10,
    "tradedQty": 4, "status": "Traded", "lastUpdatedTime": "2026-11-25 10:00:00", "correlationId": "t",
}))  # fmt: skip
async def test_no_order_update_raises_or_is_told_wrongly(client, body):
    updates = DhanOrderUpdates(client, instrument_of=instrument_of)
    for frame in (body, b'{"Type": "order_alert", "Data": ' + body + b"}", body.decode("utf-8", "replace")):
        told = updates.read(frame)
        if isinstance(told, BrokerOrder):
            assert not told.status.final or told.filled_quantity == 0


@settings(max_examples=150)
@given(body=bodies({"availabelBalance": 1.0, "utilizedAmount": 0, "netQty": 1, "data": {}}))
async def test_reading_the_rest_raises_broker_errors_only(dhan, client, body):
    dhan.answers = {"*": Answer(200, body)}
    account, reference = DhanAccount(client), DhanReference(client)
    for read in (
        account.margins, account.positions, account.holdings, lambda: reference.expiries(LISTED[1]),
        lambda: reference.option_chain(LISTED[1], LISTED[3].key.expiry), lambda: reference.quotes([LISTED[0]]),
        lambda: reference.history(LISTED[0], timeframe_seconds=60, from_ns=1, to_ns=10**18 // 10**3),
    ):  # fmt: skip
        error = await broker_error(read)
        assert not isinstance(error, NoAnswer | Throttled)  # a reply came: it is not asked for again


@settings(max_examples=300)
@given(json_values)
def test_no_market_data_reply_raises_anything_but_a_broker_error(value):
    for read in (
        lambda: quotes_of({"data": {"NSE_EQ": {"1594": value}}}, [LISTED[0]], first=0, received_ns=1),
        lambda: quotes_of({"data": {"NSE_EQ": {"1594": {"depth": value, "ohlc": value, "last_price": value}}}},
                          [LISTED[0]], first=0, received_ns=1),
        lambda: chain_of({"data": {"last_price": 1, "oc": {"1": {"ce": value}}}}, LISTED[1], LISTED[3].key.expiry),
        lambda: chain_of({"data": {"last_price": 1, "oc": value}}, LISTED[1], LISTED[3].key.expiry),
        lambda: candles_of({"timestamp": value, "open": value}, timeframe_seconds=60),
        lambda: candles_of(value, timeframe_seconds=60),
    ):  # fmt: skip
        try:
            read()
        except BrokerError:
            continue


# What Dhan's own documents and tests show


def documented():
    if not SHARED.is_dir():
        return []
    found = []
    for path in sorted(SHARED.glob("*/*.json")):
        value = json.loads(path.read_text())
        for number, each in enumerate(value if isinstance(value, list) else [value]):
            body = each.get("body", each) if isinstance(each, dict) else each
            if isinstance(body, dict) and {"status", "remarks", "data"} <= body.keys():
                body = body["data"]  # as the SDK wraps it
            found.append(pytest.param(body, id=f"{path.stem}-{number}"))
    return found


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the documented replies do not lie beside the checkout")
@pytest.mark.parametrize("body", documented())
async def test_every_documented_reply_is_read_or_named_and_never_told_wrongly(dhan, client, orders, body):
    text = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    dhan.answers = {"*": Answer(200, text)}
    account, reference = DhanAccount(client), DhanReference(client)
    for outcome in (await orders.place(request()), await orders.cancel("A", "1", at_ns=1)):
        assert outcome.result is not Result.REFUSED or "status" in str(body)
    await orders.find_by_tag("A", "tb0001")
    for order in await orders.order_book("A") or ():
        assert not order.status.final
    for read in (account.margins, account.positions, account.holdings, lambda: reference.quotes([LISTED[0]])):
        await broker_error(read)


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="the documented replies do not lie beside the checkout")
@pytest.mark.parametrize("name", ["17-live-order-update", "classic_11_live_order_update"])
def test_the_documented_order_update_is_read(client, name):
    updates = DhanOrderUpdates(client, instrument_of=instrument_of)
    pages = json.loads((SHARED / "docs_samples" / f"{name}.json").read_text())
    alerts = [page["body"] for page in pages if isinstance(page["body"], dict) and "Data" in page["body"]]
    assert alerts
    for alert in alerts:
        order = updates.read(json.dumps(alert))
        assert isinstance(order, BrokerOrder)
        assert order.broker_order_id == alert["Data"]["OrderNo"]
        assert (order.status, order.filled_quantity) == (BrokerStatus.CANCELLED, 0)
        assert order.as_of_ns == 1_726_045_769 * 10**9
