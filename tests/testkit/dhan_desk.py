"""Dhan on this machine: an HTTP server that answers what it is told to and keeps what it was asked, a socket server
that does the same, and instruments, orders and requests to ask about."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.asyncio.server import ServerConnection, serve

from testkit.waiting import WALL_TIMERS
from tradebus.brokers.dhan import DhanClient, DhanEndpoints, DhanSettings
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Right, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderRequest

CLIENT_ID = "1000000001"
TOKEN = "eyJhbGciOiJIUzUxMiJ9.c2VjcmV0LXRva2Vu.c2lnbmF0dXJl-secret"
NOVEMBER = date(2026, 11, 30)
INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "1594", "NSE_EQ", "INFY", 1, 10)
NIFTY = ListedInstrument(InstrumentKey(Segment.INDEX, "NIFTY"), "13", "IDX_I", "NIFTY", 1, 5)
FUTURE = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", NOVEMBER), "52175", "NSE_FNO", "NIFTY-Nov2026-FUT", 65, 10
)
CALL = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", NOVEMBER, 2_600_000, Right.CALL), "50978", "NSE_FNO",
    "NIFTY-Nov2026-26000-CE", 65, 5,
)  # fmt: skip
LISTED = {0: INFY, 1: NIFTY, 2: FUTURE, 3: CALL}


@dataclass
class Asked:
    method: str
    path: str
    body: bytes
    headers: dict[str, str]

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """`drop` closes the connection without a word; `wait_seconds` before the answer; `claimed` is a false length;
    `drip_seconds` between two bytes of the body."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/json"
    drop: bool = False
    wait_seconds: float = 0.0
    claimed: int | None = None
    drip_seconds: float = 0.0
    location: str = ""

    @classmethod
    def of(cls, value: object, status: int = 200) -> "Answer":
        return cls(status, json.dumps(value).encode())


@dataclass
class FakeDhan:
    """Answers by "METHOD /path", then by "*"; a list is used up from the front, its last one stays."""

    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    give_up: threading.Event = field(default_factory=threading.Event)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        path = asked.path.partition("?")[0]
        found = self.answers.get(f"{asked.method} {path}") or self.answers.get("*") or Answer(404, b"{}")
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    def settings(self, **more) -> DhanSettings:
        return DhanSettings(CLIENT_ID, TOKEN, endpoints=DhanEndpoints.at(self.url), **more)

    def client(self, *, timers: Timers = WALL_TIMERS, request_seconds: float = 5.0, **more) -> DhanClient:
        return DhanClient(
            self.settings(**more), timers=timers, request_seconds=request_seconds, first_delay_seconds=0.001
        )


@contextmanager
def fake_dhan() -> Iterator[FakeDhan]:
    dhan = FakeDhan()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            asked = Asked(self.command, self.path, self.rfile.read(size), dict(self.headers))
            answer = dhan.answer(asked)
            if answer.wait_seconds:
                dhan.give_up.wait(answer.wait_seconds)
            if answer.drop:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body) if answer.claimed is None else answer.claimed))
            if answer.location:
                self.send_header("Location", answer.location)
            self.end_headers()
            step = 1 if answer.drip_seconds else max(1, len(answer.body))
            try:
                for at in range(0, len(answer.body), step):
                    self.wfile.write(answer.body[at : at + step])
                    dhan.give_up.wait(answer.drip_seconds)
            except ConnectionError:
                self.close_connection = True
                return
            self.close_connection = answer.claimed is not None

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    dhan.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield dhan
    finally:
        dhan.give_up.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class FakeSockets:
    """What came in, by connection, and the connections that are open."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    received: list[list[object]] = field(default_factory=list)
    open: list[ServerConnection] = field(default_factory=list)
    refuse: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def fake_sockets() -> AsyncIterator[FakeSockets]:
    sockets = FakeSockets()

    async def handler(connection: ServerConnection) -> None:
        number = len(sockets.received)
        sockets.received.append([])
        sockets.paths.append(connection.request.path if connection.request else "")
        sockets.open.append(connection)
        sockets.changed.set()
        try:
            async for message in connection:
                sockets.received[number].append(json.loads(message))
                sockets.changed.set()
        finally:
            sockets.open.remove(connection)
            sockets.changed.set()

    async def check(connection: ServerConnection, request: object) -> object:
        return connection.respond(401, "no\n") if sockets.refuse else None

    async with serve(handler, "127.0.0.1", 0, process_request=check) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sockets.url = f"http://127.0.0.1:{port}"
        yield sockets


def request(order_type: OrderType = OrderType.LIMIT, *, instrument: int = 0, **more) -> OrderRequest:
    """An order that nothing is wrong with."""
    listed = LISTED[instrument]
    given = {
        "account": "A", "tag": "tb0001", "instrument": instrument, "symbol": listed.symbol,
        "transaction": Transaction.BUY, "order_type": order_type, "quantity": listed.lot_size,
        "lot_size": listed.lot_size, "tick_size_paise": listed.tick_size_paise, "at_ns": 1,
        "price_paise": 150_050 if order_type in (OrderType.LIMIT, OrderType.SL) else None,
        "trigger_paise": 150_000 if order_type in (OrderType.SL, OrderType.SL_M) else None,
    }  # fmt: skip
    return OrderRequest(**(given | more))


def order_row(**more) -> dict[str, object]:
    """A row of the order book: open, nothing filled."""
    return {
        "dhanClientId": CLIENT_ID, "orderId": "112111182198", "exchangeOrderId": "11", "correlationId": "tb0001",
        "orderStatus": "PENDING", "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "productType": "INTRADAY",
        "orderType": "LIMIT", "validity": "DAY", "tradingSymbol": "INFY", "securityId": "1594", "quantity": 10,
        "disclosedQuantity": 0, "price": 1500.5, "triggerPrice": 0.0, "afterMarketOrder": False,
        "createTime": "2026-11-25 10:00:00", "updateTime": "2026-11-25 10:00:05",
        "exchangeTime": "2026-11-25 10:00:05", "omsErrorCode": None, "omsErrorDescription": "CONFIRMED",
        "remainingQuantity": 10, "averageTradedPrice": 0.0, "filledQty": 0, **more,
    }  # fmt: skip


def trade_row(number: str = "T1", quantity: int = 10, **more) -> dict[str, object]:
    return {
        "orderId": "112111182198", "exchangeTradeId": number, "tradedQuantity": quantity, "tradedPrice": 1500.45,
        "transactionType": "BUY", "exchangeSegment": "NSE_EQ", "securityId": "1594",
        "exchangeTime": "2026-11-25 10:00:05", "createTime": "2026-11-25 10:00:00", **more,
    }  # fmt: skip


def instrument_of(segment: str, token: str) -> int | None:
    for number, listed in LISTED.items():
        if (listed.broker_segment, listed.token) == (segment, token):
            return number
    return None
