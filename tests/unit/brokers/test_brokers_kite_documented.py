"""Kite's own documented replies, where they lie beside the checkout; and certificates, which are always verified."""

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from testkit.scripted_server import CSV, Reply

from tradebus.brokers.account import Margins, SessionState
from tradebus.brokers.errors import NoAnswer
from tradebus.brokers.kite import (
    KiteAccount,
    KiteEndpoints,
    KiteOrders,
    KiteOrderUpdates,
    KiteReference,
    KiteSession,
    parse_instruments,
)
from tradebus.brokers.ports import BrokerOrder, BrokerStatus, OrderRequest, Result
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_datetime

MOCKS = Path(__file__).parents[3].parent / "shared" / "fixtures" / "kite" / "mocks"
INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
documented = pytest.mark.skipif(not MOCKS.is_dir(), reason="Kite's samples are not beside this checkout")


def mock(kite, route: str, name: str) -> None:
    kind = CSV if name.endswith(".csv") else "application/json"
    kite.replies[route] = Reply((MOCKS / name).read_bytes(), content_type=kind)


def orders_of(kite) -> KiteOrders:
    client = kite.client()
    return KiteOrders(client.settings, client=client, listing_of=lambda _: INFY, instrument_of=lambda *_: 1)


@documented
@pytest.mark.shared_data
async def test_money_positions_holdings_and_profile(kite):
    for route, name in (
        ("GET /user/margins", "margins.json"), ("GET /portfolio/positions", "positions.json"),
        ("GET /portfolio/holdings", "holdings.json"), ("GET /user/profile", "profile.json"),
    ):  # fmt: skip
        mock(kite, route, name)
    client = kite.client()
    account = KiteAccount(client.settings, client=client)
    assert await account.margins() == Margins(9_972_505, 14_570_655)
    positions, holdings = await account.positions(), await account.holdings()
    assert [row.symbol for row in positions][:2] == ["LEADMINI17DECFUT", "GOLDGUINEA17DECFUT"]
    assert (holdings[1].symbol, holdings[1].quantity, holdings[1].average_price_paise) == ("SBIN", 16, 80_178)
    assert await KiteSession(client.settings, client=client).check() is SessionState.VALID


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
async def test_quotes_history_and_instruments(kite):
    mock(kite, "GET /quote", "quote.json")
    mock(kite, "GET /instruments/historical/408065/minute", "historical_oi.json")
    client = kite.client()
    reference = KiteReference(client.settings, client=client)
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
    assert await KiteSession(kite.settings(), client=kite.client()).complete_login("abc") == "XXXXXX"


@documented
@pytest.mark.shared_data
async def test_a_postback_is_an_order_update(kite):
    body = json.loads((MOCKS / "postback.json").read_text())
    stream = KiteOrderUpdates(kite.settings(), instrument_of=lambda *_: 1, client=kite.client())
    update = await stream._read(json.dumps({"type": "order", "data": body}))
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
        orders = KiteOrders(client.settings, client=client, listing_of=lambda _: INFY, instrument_of=lambda *_: 1)
        request = OrderRequest("s1", "tag1", 1, "INFY", Transaction.BUY, OrderType.LIMIT, 1, 1, 5, 0, price_paise=5)
        outcome = await orders.place(request)
        assert outcome.result is Result.UNKNOWN
        assert "certificate" in outcome.reason.lower()
        with pytest.raises(NoAnswer):
            await KiteAccount(client.settings, client=client).margins()
    assert received == []
