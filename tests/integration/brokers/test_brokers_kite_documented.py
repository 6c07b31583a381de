"""Kite's own documented replies, where they lie beside the checkout; and certificates, which are always verified."""

import asyncio
import json
import ssl
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from testkit.scripted_server import CSV, Reply

from tradebus.brokers.account import AccountMargins, SessionState
from tradebus.brokers.errors import BrokerError, NoAnswer
from tradebus.brokers.kite import (
    KiteAccount,
    KiteEndpoints,
    KiteOrders,
    KiteOrderUpdates,
    KiteReference,
    KiteSession,
    parse_instruments,
)
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_datetime
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, OrderRequest, Result

MOCKS = Path(__file__).parents[3].parent / "shared" / "fixtures" / "kite" / "mocks"
INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
documented = pytest.mark.skipif(not MOCKS.is_dir(), reason="Kite's samples are not beside this checkout")


def mock(kite, route: str, name: str) -> None:
    kind = CSV if name.endswith(".csv") else "application/json"
    kite.replies[route] = Reply((MOCKS / name).read_bytes(), content_type=kind)


def orders_of(kite) -> KiteOrders:
    client = kite.client()
    return KiteOrders(client, listing_of=lambda _: INFY, instrument_of=lambda *_: 1)


@documented
@pytest.mark.shared_data
async def test_money_positions_holdings_and_profile(kite):
    for route, name in (
        ("GET /user/margins", "margins.json"), ("GET /portfolio/positions", "positions.json"),
        ("GET /portfolio/holdings", "holdings.json"), ("GET /user/profile", "profile.json"),
    ):  # fmt: skip
        mock(kite, route, name)
    client = kite.client()
    account = KiteAccount(client)
    assert await account.margins() == AccountMargins(9_972_505, 14_570_655)
    positions, holdings = await account.positions(), await account.holdings()
    assert [row.symbol for row in positions][:2] == ["LEADMINI17DECFUT", "GOLDGUINEA17DECFUT"]
    assert (holdings[1].symbol, holdings[1].quantity, holdings[1].average_price_paise) == ("SBIN", 16, 80_178)
    assert await KiteSession(client).check() is SessionState.VALID


@documented
@pytest.mark.shared_data
async def test_order_and_trade_books(kite):
    mock(kite, "GET /orders", "orders.json")
    mock(kite, "GET /trades", "trades.json")
    book = await orders_of(kite).order_book("s1")
    assert book is not None
    rows = json.loads((MOCKS / "orders.json").read_text())["data"]
    assert [order.broker_order_id for order in book] == [row["order_id"] for row in rows]
    words = {row["status"] for row in rows}
    assert {"COMPLETE", "CANCELLED"} <= words
    for order, row in zip(book, rows, strict=True):
        if order.status is BrokerStatus.FILLED:
            assert row["status"] == "COMPLETE"
        if order.status is BrokerStatus.REJECTED:
            assert row["status"] == "REJECTED"
        at = row["exchange_update_timestamp"]
        assert at is None or ist_datetime(order.as_of_ns).strftime("%Y-%m-%d %H:%M:%S") >= at


@documented
@pytest.mark.shared_data
async def test_the_answer_to_an_order(kite):
    mock(kite, "POST /orders/regular", "order_response.json")
    request = OrderRequest("s1", "tag1", 1, "INFY", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, 0, price_paise=5)
    assert (await orders_of(kite).place(request)).broker_order_id == "151220000000000"


@documented
@pytest.mark.shared_data
async def test_the_answers_to_a_change_and_a_cancellation(kite):
    number = "151220000000000"
    mock(kite, f"PUT /orders/regular/{number}", "order_modify.json")
    mock(kite, f"DELETE /orders/regular/{number}", "order_cancel.json")
    orders = orders_of(kite)
    assert (await orders.modify("s1", number, OrderModification(1, 5, None, 1))).broker_order_id == number
    assert (await orders.cancel("s1", number, at_ns=1)).result is Result.ACCEPTED


@documented
@pytest.mark.shared_data
async def test_minute_candles(kite):
    mock(kite, "GET /instruments/historical/408065/minute", "historical_minute.json")
    client = kite.client()
    day_ns = 17_515 * NANOSECONDS_PER_DAY  # 15 December 2017
    candles = await KiteReference(client).history(
        INFY, timeframe_seconds=60, from_ns=day_ns, to_ns=day_ns + NANOSECONDS_PER_DAY
    )
    rows = json.loads((MOCKS / "historical_minute.json").read_text())["data"]["candles"]
    assert [int(paise) for paise in candles["close_paise"]] == [round(row[4] * 100) for row in rows]
    assert list(candles["volume"]) == [row[5] for row in rows]


async def read_or_named(read: Awaitable[object]) -> None:
    with suppress(BrokerError):
        await read


@documented
@pytest.mark.shared_data
@pytest.mark.parametrize("name", sorted(path.name for path in MOCKS.glob("*.*") if path.suffix in (".json", ".csv")))
async def test_any_documented_reply_to_any_question_is_read_or_named_and_never_told_wrongly(kite, name):
    body = (MOCKS / name).read_bytes()
    kite.otherwise = lambda _asked: Reply(body, content_type=CSV if name.endswith(".csv") else "application/json")
    orders, client = orders_of(kite), kite.client()
    request = OrderRequest("s1", "tag1", 1, "INFY", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, 0, price_paise=5)
    for outcome in (
        await orders.place(request), await orders.modify("s1", "1", OrderModification(1, 5, None, 1)),
        await orders.cancel("s1", "1", at_ns=1),
    ):  # fmt: skip
        assert outcome.result is not Result.REFUSED
        assert outcome.result is Result.UNKNOWN or b'"order_id"' in body
    for order in await orders.order_book("s1") or ():
        assert order.status is not BrokerStatus.FILLED or 0 < order.quantity == order.filled_quantity
        assert order.status is not BrokerStatus.REJECTED or (b"REJECTED" in body and not order.filled_quantity)
    await orders.find_by_tag("s1", "tag1")
    account, reference = KiteAccount(client), KiteReference(client)
    for read in (
        account.margins(), account.positions(), account.holdings(), reference.quotes([INFY]), reference.instruments(),
        reference.history(INFY, timeframe_seconds=60, from_ns=0, to_ns=NANOSECONDS_PER_DAY),
    ):  # fmt: skip
        await read_or_named(read)
    assert await KiteSession(client).check() is not SessionState.EXPIRED


@documented
@pytest.mark.shared_data
async def test_quotes_history_and_instruments(kite):
    mock(kite, "GET /quote", "quote.json")
    mock(kite, "GET /instruments/historical/408065/minute", "historical_oi.json")
    client = kite.client()
    reference = KiteReference(client)
    [quote] = await reference.quotes([INFY])
    assert (quote["price_paise"], quote["ask_paise"][0], quote["ask_orders"][0]) == (141_295, 141_295, 13)
    assert ist_datetime(int(quote["ts_event_ns"])).isoformat() == "2021-06-08T15:45:56+05:30"
    day_ns = 18_234 * NANOSECONDS_PER_DAY  # 4 December 2019
    candles = await reference.history(INFY, timeframe_seconds=60, from_ns=day_ns, to_ns=day_ns + NANOSECONDS_PER_DAY)
    assert list(candles["open_interest"][:3]) == [13_667_775, 13_667_775, 13_758_000]
    assert ist_datetime(int(candles["ts_open_ns"][0])).isoformat() == "2019-12-04T09:15:00+05:30"
    listed, left_out = parse_instruments((MOCKS / "instruments_nse.csv").read_bytes())
    assert (len(listed), left_out) == (99, 0)
    listed, left_out = parse_instruments((MOCKS / "instruments_all.csv").read_bytes())
    assert (len(listed), left_out) == (74, 25)  # that dump of 2017 names no underlying of its options


@documented
@pytest.mark.shared_data
async def test_a_login(kite):
    mock(kite, "POST /session/token", "generate_session.json")
    assert await KiteSession(kite.client()).complete_login("abc") == "XXXXXX"


@documented
@pytest.mark.shared_data
async def test_a_postback_is_an_order_update(kite):
    body = json.loads((MOCKS / "postback.json").read_text())
    stream = KiteOrderUpdates(kite.client(), instrument_of=lambda *_: 1)
    update = stream.read(json.dumps({"type": "order", "data": body}))
    assert isinstance(update, BrokerOrder)
    assert (update.account, update.quantity, update.filled_quantity) == ("AB1234", 1, 1)
    assert update.status is BrokerStatus.UNKNOWN  # its fills are not known yet


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(start).not_valid_after(start + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def test_a_server_without_a_good_certificate_gets_neither_order_nor_token(kite, tmp_path):
    received = []

    async def serve(reader, writer):
        received.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = kite.client(endpoints=KiteEndpoints.at(f"https://127.0.0.1:{port}"))
        orders = KiteOrders(client, listing_of=lambda _: INFY, instrument_of=lambda *_: 1)
        request = OrderRequest("s1", "tag1", 1, "INFY", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, 0, price_paise=5)
        outcome = await orders.place(request)
        assert outcome.result is Result.UNKNOWN
        assert "certificate" in outcome.reason.lower()
        with pytest.raises(NoAnswer):
            await KiteAccount(client).margins()
    assert received == []
