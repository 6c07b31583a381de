"""Upstox's replies with anything wrong in them: never a wrong REJECTED or FILLED, no exception out of a gateway."""

import asyncio
import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.scripted_server import Reply
from testkit.upstox_server import PAGE, UpstoxServer

from tradebus.brokers.common.replies.rows import Unreadable, whole
from tradebus.brokers.errors import BrokerError, Malformed, NoAnswer, Refused, Throttled, TokenExpired
from tradebus.brokers.feed import FeedEvent
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox import (
    UpstoxAccount,
    UpstoxClient,
    UpstoxOrders,
    UpstoxOrderUpdates,
    UpstoxReference,
    status_of,
)
from tradebus.brokers.upstox.failures import classify, failure_of
from tradebus.brokers.upstox.replies import moment_of
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_datetime
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, OrderRequest, Outcome, Result

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "NSE_EQ|INE009A01021", "NSE_EQ", "INFY", 1, 10)
ORDER = OrderRequest(
    "s1", "tag1", 1, "INFY", Transaction.BUY, OrderType.LIMIT, 10, 1, 10, 0, price_paise=150_010
)  # fmt: skip
ROW = {
    "exchange": "NSE", "product": "I", "price": 1500.1, "quantity": 10, "status": "complete", "guid": None,
    "tag": "tag1", "instrument_token": INFY.token, "placed_by": "AB1234", "tradingsymbol": "INFY-EQ",
    "order_type": "LIMIT", "validity": "DAY", "trigger_price": 0.0, "disclosed_quantity": 0,
    "transaction_type": "BUY", "average_price": 1500.1, "filled_quantity": 10, "pending_quantity": 0,
    "status_message": None, "exchange_order_id": "11", "order_id": "261125000000001", "variety": "SIMPLE",
    "order_timestamp": "2026-11-25 10:00:00", "exchange_timestamp": "2026-11-25 10:00:01", "is_amo": False,
}  # fmt: skip
TRADE = {
    "exchange": "NSE", "product": "I", "instrument_token": INFY.token, "order_type": "LIMIT",
    "transaction_type": "BUY", "quantity": 10, "average_price": 1500.1, "order_id": "261125000000001",
    "trade_id": "7", "exchange_timestamp": "25-Nov-2026 10:00:01", "order_timestamp": "25-Nov-2026 10:00:00",
}  # fmt: skip
REPLIES: dict[str, Any] = {
    "POST /v3/order/place": {"status": "success", "data": {"order_ids": ["261125000000001"]}, "metadata": {"ms": 3}},
    "PUT /v3/order/modify": {"status": "success", "data": {"order_id": "261125000000001"}},
    "DELETE /v3/order/cancel": {"status": "success", "data": {"order_id": "261125000000001"}},
    "GET /v2/order/retrieve-all": {"status": "success", "data": [ROW, ROW | {"order_id": "2", "status": "rejected",
                                   "filled_quantity": 0}]},
    "GET /v2/order/details": {"status": "success", "data": ROW},
    "GET /v2/order/trades/get-trades-for-day": {"status": "success", "data": [TRADE]},
    "GET /v2/order/trades": {"status": "success", "data": [TRADE]},
    "GET /v2/user/get-funds-and-margin": {"status": "success", "data": {
        "equity": {"used_margin": 1.5, "available_margin": 100.25}, "commodity": {"available_margin": 0}}},
    "GET /v2/portfolio/short-term-positions": {"status": "success", "data": [{
        "instrument_token": INFY.token, "tradingsymbol": "INFY", "product": "I", "quantity": 10,
        "day_buy_quantity": 10, "day_sell_quantity": 0, "average_price": 1500.1, "realised": 0.0, "unrealised": 1.0}]},
    "GET /v2/portfolio/long-term-holdings": {"status": "success", "data": [{
        "isin": "INE009A01021", "tradingsymbol": "INFY", "quantity": 10, "t1_quantity": 1, "average_price": 1.0,
        "last_price": 2.0}]},
    "GET /v2/market-quote/quotes": {"status": "success", "data": {"NSE_EQ:INFY": {
        "instrument_token": INFY.token, "last_price": 1500.1, "net_change": 1.1, "volume": 5, "oi": 0.0,
        "ohlc": {"open": 1.0, "high": 2.0, "low": 1.0, "close": 2.0}, "timestamp": "2026-11-25T10:00:00.123+05:30",
        "depth": {"buy": [{"quantity": 5, "price": 1500.0, "orders": 1}], "sell": []},
        "last_trade_time": "1795581000000"}}},
    "GET /v2/option/contract": {"status": "success", "data": [{"expiry": "2026-12-29"}]},
    "GET /v2/option/chain": {"status": "success", "data": [{
        "strike_price": 1500.0, "underlying_spot_price": 1500.1, "call_options": {
            "instrument_key": "NSE_FO|1", "market_data": {"ltp": 0, "volume": 0, "oi": 0.0, "bid_price": 1.0},
            "option_greeks": {"iv": 12.5}}}]},
}  # fmt: skip
ERROR = {"status": "error", "errors": [{"errorCode": "UDAPI100038", "message": "no", "propertyPath": None}]}
ODD = st.sampled_from(
    [None, "", "x", "complete", "rejected", "10", 0, -1, 10, 3, 10.5, 1e300, float(2**63), True, [], {}, ["a"],
     {"a": 1}, "2026-13-45 99:00:00"]
)  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[UpstoxServer]:
    with UpstoxServer() as running:
        yield running


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: UpstoxServer) -> Iterator[UpstoxClient]:
    made = server.client()
    yield made
    made.close()


def _places(tree: Any, path: tuple = ()) -> list[tuple]:
    """Every place in a reply, its own included."""
    found = [path]
    if isinstance(tree, dict):
        found += [place for key in tree for place in _places(tree[key], (*path, key))]
    if isinstance(tree, list):
        found += [place for key in range(len(tree)) for place in _places(tree[key], (*path, key))]
    return found


def _changed(tree: Any, place: tuple, value: Any, *, removed: bool) -> Any:
    if not place:
        return value
    tree = copy.deepcopy(tree)
    at = tree
    for key in place[:-1]:
        at = at[key]
    if removed:
        del at[place[-1]]
    else:
        at[place[-1]] = value
    return tree


@st.composite
def _broken(draw, reply: Any) -> Reply:
    """A documented reply, possibly a refusal, with up to two things wrong in it, or no such reply at all."""
    status = draw(st.sampled_from([200, 200, 200, 200, 201, 207, 400, 401, 403, 404, 423, 429, 500, 503]))
    tree = reply if status < 400 and draw(st.integers(0, 9)) else ERROR
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.sampled_from(_places(tree)))
        tree = _changed(tree, place, draw(ODD), removed=bool(place) and draw(st.booleans()))
    body = json.dumps(tree).encode()
    kind = draw(st.integers(0, 9))
    if kind == 0:
        body = draw(st.sampled_from([b"", PAGE, b"null", b"[]", b"{", b"\xff\xfe", b"[" * 5000, b"NaN", b"0"]))
    if kind == 1:
        body = body[: draw(st.integers(0, len(body)))]
    return Reply(body, status, cut=draw(st.integers(0, len(body))) if kind == 2 else None)


def _scripts(*changing: str):
    """Every documented reply, those of the named calls broken."""
    return st.fixed_dictionaries({name: _broken(REPLIES[name]) for name in changing}).map(
        lambda broken: {name: Reply(reply) for name, reply in REPLIES.items()} | broken
    )


async def _with_gateway(client: UpstoxClient, use) -> Any:
    client.calls.renewed()  # an earlier example's token may have been refused
    gateway = UpstoxOrders(
        client, listing_of={1: INFY}.__getitem__,
        instrument_of=lambda segment, token: 1 if (segment, token) == ("NSE_EQ", INFY.token) else None,
        settle_seconds=0,
    )  # fmt: skip
    return await use(gateway)


def _said(reply: Reply) -> Any:
    body = reply.bytes()[: reply.cut]
    try:
        return json.loads(body) if len(body) == len(reply.bytes()) else None
    except (ValueError, RecursionError):
        return None


def _check_outcome(outcome: Outcome, reply: Reply, ids: Any) -> None:
    said = _said(reply)
    if outcome.result is Result.ACCEPTED:
        assert reply.status < 300
        assert said["status"] == "success"
        assert isinstance(ids(said["data"]), str)
        assert outcome.broker_order_id == ids(said["data"])
    elif outcome.result is Result.REFUSED:
        assert 400 <= reply.status < 500, outcome.reason
        assert reply.status == 401 or (said["status"] == "error" and isinstance(said["errors"][0], dict))
    else:
        assert outcome.broker_order_id is None


@settings(max_examples=150, deadline=None)
@given(script=_scripts("POST /v3/order/place"))
def test_a_placement_is_accepted_or_refused_only_by_upstoxs_word(server, client, runner, script):
    server.replies = script
    outcome = runner.run(_with_gateway(client, lambda gateway: gateway.place(ORDER)))
    _check_outcome(outcome, script["POST /v3/order/place"], lambda data: data["order_ids"][0])


@settings(max_examples=100, deadline=None)
@given(script=_scripts("PUT /v3/order/modify", "DELETE /v3/order/cancel", "GET /v2/order/details"))
def test_a_change_is_accepted_or_refused_only_by_upstoxs_word(server, client, runner, script):
    server.replies = script

    async def change(gateway: UpstoxOrders) -> tuple[Outcome, Outcome]:
        modified = await gateway.modify("s1", "261125000000001", OrderModification(5, 150_000, None, 0))
        return modified, await gateway.cancel("s1", "261125000000001", at_ns=0)

    modified, cancelled = runner.run(_with_gateway(client, change))
    if "not sent" not in modified.reason:
        _check_outcome(modified, script["PUT /v3/order/modify"], lambda data: data["order_id"])
    if "401" not in modified.reason:  # a token that is refused halts what comes after it
        _check_outcome(cancelled, script["DELETE /v3/order/cancel"], lambda data: data["order_id"])


@settings(max_examples=120, deadline=None)
@given(
    script=_scripts(
        "GET /v2/order/retrieve-all", "GET /v2/order/trades/get-trades-for-day", "GET /v2/order/trades"
    )
)  # fmt: skip
def test_the_end_of_an_order_is_told_only_where_words_and_quantities_say_so(server, client, runner, script):
    server.replies = script

    async def look(gateway: UpstoxOrders):
        return await gateway.order_book("s1"), await gateway.find_by_tag("s1", "tag1")

    book, lookup = runner.run(_with_gateway(client, look))
    told = [*(book or ()), *((lookup.order,) if lookup.order is not None else ())]
    said = _said(script["GET /v2/order/retrieve-all"])
    for order in told:
        _check_order(order, said["data"])
    if lookup.order is None and lookup.definitive:
        assert not any(row["tag"] == "tag1" for row in said["data"])


def _check_order(order: BrokerOrder, rows: list[Any]) -> None:
    mine = [row for row in rows if row.get("order_id") == order.broker_order_id]
    assert mine
    if order.status is BrokerStatus.REJECTED:
        assert any(row["status"].strip().lower() == "rejected" for row in mine)
        assert order.filled_quantity == 0
    if order.status is BrokerStatus.FILLED:
        assert order.filled_quantity == order.quantity > 0
    if order.status.final:
        assert sum(fill.quantity for fill in order.fills) == order.filled_quantity
    assert all(fill.quantity > 0 and fill.price_paise > 0 for fill in order.fills)


@settings(max_examples=80, deadline=None)
@given(
    script=_scripts(
        "GET /v2/user/get-funds-and-margin", "GET /v2/portfolio/short-term-positions",
        "GET /v2/portfolio/long-term-holdings", "GET /v2/market-quote/quotes", "GET /v2/option/contract",
        "GET /v2/option/chain",
    )
)  # fmt: skip
def test_reads_raise_nothing_but_broker_errors(server, client, runner, script):
    server.replies = script

    async def read() -> None:
        client.calls.renewed()
        account, reference = (
            UpstoxAccount(client),
            UpstoxReference(client),
        )
        day = ist_datetime(1_795_581_000 * 10**9).date()
        for call in (
            account.margins, account.positions, account.holdings, lambda: reference.quotes([INFY]),
            lambda: reference.expiries(INFY), lambda: reference.option_chain(INFY, day),
        ):  # fmt: skip
            with suppress(BrokerError):
                await call()

    runner.run(read())


@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(_places(ROW)), value=ODD, removed=st.booleans(), extra=ODD)
def test_an_order_update_with_anything_wrong_in_it_raises_nothing(server, client, runner, place, value, removed, extra):
    server.replies = {name: Reply(reply) for name, reply in REPLIES.items()}
    update = _changed(ROW | {"update_type": "order", "more": extra}, place, value, removed=removed and bool(place))

    async def read():
        updates = UpstoxOrderUpdates(client, instrument_of=lambda *_: 1)
        return updates.read(json.dumps(update))

    told = runner.run(read())
    if isinstance(told, BrokerOrder):
        _check_order(told, [update])
    else:
        assert told is None or isinstance(told, FeedEvent)


@pytest.mark.parametrize(
    ("word", "quantity", "filled", "status"),
    [
        ("put order req received", 10, 0, BrokerStatus.PENDING),
        ("validation pending", 10, 0, BrokerStatus.PENDING),
        ("open pending", 10, 0, BrokerStatus.PENDING),
        ("after market order req received", 10, 0, BrokerStatus.PENDING),
        ("open", 10, 0, BrokerStatus.OPEN),
        (" Open  ", 10, 3, BrokerStatus.OPEN),
        ("modify validation pending", 10, 0, BrokerStatus.OPEN),
        ("not cancelled", 10, 0, BrokerStatus.OPEN),
        ("cancel pending", 10, 0, BrokerStatus.CANCEL_PENDING),
        ("trigger pending", 10, 0, BrokerStatus.TRIGGER_PENDING),
        ("complete", 10, 10, BrokerStatus.FILLED),
        ("open", 10, 10, BrokerStatus.FILLED),
        ("cancelled", 10, 3, BrokerStatus.CANCELLED),
        ("cancelled after market order", 10, 0, BrokerStatus.CANCELLED),
        ("REJECTED", 10, 0, BrokerStatus.REJECTED),
        ("complete", 10, 9, BrokerStatus.UNKNOWN),
        ("rejected", 10, 3, BrokerStatus.CANCELLED),
        ("frozen by compliance", 10, 0, BrokerStatus.UNKNOWN),
        ("", 10, 0, BrokerStatus.UNKNOWN),
        ("open", 10, 11, BrokerStatus.UNKNOWN),
        ("open", 0, 0, BrokerStatus.UNKNOWN),
        ("complete", -1, -1, BrokerStatus.UNKNOWN),
    ],
)
def test_the_status_map(word, quantity, filled, status):
    assert status_of(word, quantity=quantity, filled_quantity=filled) is status


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "UDAPI100050", TokenExpired), (401, "UDAPI100011", TokenExpired), (400, "UDAPI100050", TokenExpired),
        (429, "UDAPI10005", Throttled), (400, "UDAPI10005", Throttled), (400, "UDAPI1026", Refused),
        (404, "UDAPI100060", Refused), (500, "UDAPI1", NoAnswer), (408, "UDAPI1", NoAnswer), (200, "UDAPI1", Malformed),
    ],
)  # fmt: skip
def test_what_an_error_means(status, code, kind):
    body = json.dumps({"status": "error", "errors": [{"error_code": code, "message": "words"}]}).encode()
    error = failure_of(status, body)
    assert type(error) is kind
    assert code in str(error)


def test_what_an_exception_means():
    assert isinstance(classify(TimeoutError("slow")), NoAnswer)
    assert isinstance(classify(ConnectionResetError()), NoAnswer)
    assert isinstance(classify(AttributeError("bare")), Malformed)
    assert isinstance(classify(InvalidInput("host")), Refused)
    assert isinstance(failure_of(0, None, reason="SSLError\ncertificate"), NoAnswer)


def test_times_in_each_of_upstoxs_spellings_are_one_instant():
    spellings = (
        "2026-11-25 10:00:01", "25-Nov-2026 10:00:01", "2026-11-25T10:00:01+05:30", "2026-11-25T10:00:01.000+05:30",
        "2026-11-25T04:30:01Z",
    )  # fmt: skip
    assert len({moment_of(text, name="t") for text in spellings}) == 1
    for odd in ("", "10:00:01", "2026-11-25", "2026-02-30 10:00:00", "25-Nov-2026", 5, None, "25-Foo-2026 10:00:00"):
        with pytest.raises(Unreadable):
            moment_of(odd, name="t")


@pytest.mark.parametrize("value", [True, "65", 65.5, None, [], float("inf"), float("nan"), 1e300])
def test_what_is_no_whole_number_is_none(value):
    with pytest.raises(Unreadable, match="quantity"):
        whole({"quantity": value}, "quantity")
