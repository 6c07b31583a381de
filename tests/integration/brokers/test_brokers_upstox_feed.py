"""Upstox's sockets: an address for each connection, what is asked on it, what comes of its frames, when it gives up."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from testkit.scripted_server import Reply, success
from testkit.upstox_frames import pb2
from testkit.upstox_server import PAGE, TOKEN, UpstoxServer, refusal
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import SocketTiming
from tradebus.brokers.upstox import UpstoxFeed, UpstoxOrderUpdates
from tradebus.brokers.upstox.limits import check_limits
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.orders import BrokerOrder, BrokerStatus

QUICK = SocketTiming(first_delay_seconds=0.001, last_delay_seconds=0.01)
AUTHORIZE, STREAM = "GET /v3/feed/market-data-feed/authorize", "GET /v2/feed/portfolio-stream-feed/authorize"
TRADES_OF = "GET /v2/order/trades"
CONNECTED, DISCONNECTED, REFUSED = FeedEventKind.CONNECTED, FeedEventKind.DISCONNECTED, FeedEventKind.REFUSED


def listing(number: int) -> ListedInstrument:
    key = InstrumentKey(Segment.NSE, f"S{number}")
    return ListedInstrument(key, f"NSE_FO|{number}", "NSE_FO", f"S{number}", 1, 5)


def listings(*numbers: int) -> dict[int, ListedInstrument]:
    return {number: listing(number) for number in numbers}


def frame(number: int, price: float) -> bytes:
    message = pb2.FeedResponse(type=1, currentTs=1_795_146_300_123)
    message.feeds[f"NSE_FO|{number}"].ltpc.ltp = price
    return message.SerializeToString()


class Sockets:
    """A WebSocket server whose addresses the REST fake hands out, each good once. `asked` holds what clients sent."""

    def __init__(self, upstox: UpstoxServer, handler: Callable[[ServerConnection], Any]) -> None:
        self.upstox, self.handler = upstox, handler
        self.asked: list[dict] = []
        self.codes: list[str] = []
        self.status: int | None = None

    def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        self.codes.append(request.path)
        assert "Authorization" not in request.headers
        return connection.respond(self.status, "no") if self.status is not None else None  # type: ignore[arg-type]

    async def read(self, connection: ServerConnection, count: int = 1) -> list[dict]:
        """The next requests; each must be a binary frame of JSON with a guid of its own."""
        found = []
        for _ in range(count):
            message = await connection.recv()
            assert isinstance(message, bytes)
            found.append(json.loads(message))
        self.asked += found
        assert len({request["guid"] for request in self.asked}) == len(self.asked)
        return found


@asynccontextmanager
async def sockets(upstox: UpstoxServer, handler: Callable[[Sockets, ServerConnection], Any]) -> AsyncIterator[Sockets]:
    made = Sockets(upstox, lambda connection: handler(made, connection))
    async with serve(made.handler, "127.0.0.1", 0, process_request=made.refuse) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        numbers = iter(range(1000))

        def authorised(asked) -> Reply:
            if not asked.path.endswith("authorize"):
                return success([])
            assert asked.headers["Authorization"] == f"Bearer {TOKEN}"
            uri = f"ws://127.0.0.1:{port}/feed?code=secret-code-{next(numbers)}"
            return success({"authorized_redirect_uri": uri, "authorizedRedirectUri": uri})

        upstox.otherwise = authorised
        yield made


def feed_over(client, **changes) -> UpstoxFeed:
    return UpstoxFeed(client, timing=QUICK, clock=EventClock(5), **changes)


async def collect(feed, enough: Callable[[list], bool]) -> list:
    """Events as their kinds and the rows of batches as (instrument, paise), until there is enough."""
    seen: list = []
    async with asyncio.timeout(10):
        async for item in feed.batches():
            if isinstance(item, FeedEvent):
                seen.append(item.kind)
            else:
                seen += list(zip(item["instrument"].tolist(), item["price_paise"].tolist(), strict=True))
            if enough(seen):
                await feed.close()
    return seen


async def test_subscriptions_are_said_on_the_connection_and_frames_become_records(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await server.read(connection, 2)
        await connection.send(frame(1, 10.05))
        await connection.send(frame(3, 99.0))
        await connection.wait_closed()

    async with sockets(upstox, handler) as server:
        feed = feed_over(client)
        await feed.subscribe(listings(1, 2), FeedMode.FULL)
        await feed.subscribe(listings(3), FeedMode.PRICE)
        seen = await collect(feed, lambda seen: len(seen) == 3)
    assert seen == [CONNECTED, (1, 1005), (3, 9900)]
    assert [(each["method"], each["data"]) for each in server.asked] == [
        ("sub", {"mode": "full", "instrumentKeys": ["NSE_FO|1", "NSE_FO|2"]}),
        ("sub", {"mode": "ltpc", "instrumentKeys": ["NSE_FO|3"]}),
    ]


async def test_each_connection_has_a_new_address_and_is_told_everything(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await server.read(connection)
        await connection.send(frame(1, float(len(server.asked))))

    async with sockets(upstox, handler) as server:
        feed = feed_over(client)
        await feed.subscribe(listings(1), FeedMode.FULL)
        seen = await collect(feed, lambda seen: seen.count(DISCONNECTED) == 3)
    assert seen == [
        CONNECTED,
        (1, 100),
        DISCONNECTED,
        CONNECTED,
        (1, 200),
        DISCONNECTED,
        CONNECTED,
        (1, 300),
        DISCONNECTED,
    ]
    assert server.codes == [f"/feed?code=secret-code-{number}" for number in range(3)]
    assert len(upstox.calls("GET", "/v3/feed/market-data-feed/authorize")) == 3


async def test_changes_while_connected_are_said_at_once(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await server.read(connection)
        await connection.send(frame(1, 1.0))
        await server.read(connection, 5)
        await connection.send(frame(2, 2.0))
        await connection.wait_closed()

    async with sockets(upstox, handler) as server:
        feed = feed_over(client)
        await feed.subscribe(listings(1), FeedMode.PRICE)
        seen: list = []
        async with asyncio.timeout(10):
            async for item in feed.batches():
                if isinstance(item, FeedEvent):
                    continue
                seen += item["instrument"].tolist()
                if seen == [1]:
                    await feed.subscribe(listings(1, 2), FeedMode.FULL)
                    await feed.unsubscribe([1, 77])
                    await feed.subscribe({2: listing(4)}, FeedMode.FULL)
                    await feed.unsubscribe([])
                    # what instrument 2 is now: the frame of the server's key 2 is nobody's
                    while len(server.asked) < 6:
                        await asyncio.sleep(0.005)
                    break
        await feed.close()
    said = [(each["method"], each["data"]["instrumentKeys"], each["data"].get("mode")) for each in server.asked]
    assert said == [
        ("sub", ["NSE_FO|1"], "ltpc"), ("sub", ["NSE_FO|2"], "full"), ("change_mode", ["NSE_FO|1"], "full"),
        ("unsub", ["NSE_FO|1"], None), ("unsub", ["NSE_FO|2"], None), ("sub", ["NSE_FO|4"], "full"),
    ]  # fmt: skip


async def test_many_instruments_are_asked_in_several_requests(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await server.read(connection, 3)

    async with sockets(upstox, handler) as server:
        feed = feed_over(client)
        await feed.subscribe(listings(*range(1200)), FeedMode.FULL)
        await collect(feed, lambda seen: DISCONNECTED in seen)
    assert [len(each["data"]["instrumentKeys"]) for each in server.asked] == [500, 500, 200]


async def test_broken_frames_texts_and_market_status_harm_nothing(upstox, client):
    status = pb2.FeedResponse(type=2)
    status.marketInfo.segmentStatus["NSE_FO"] = 2

    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await server.read(connection)
        for message in (
            status.SerializeToString(),
            frame(1, 1.0)[:-3],
            b"\xff\xff",
            f"hello {TOKEN}",
            b"",
            frame(1, 2.0),
        ):
            await connection.send(message)
        await connection.wait_closed()

    async with sockets(upstox, handler):
        feed = feed_over(client)
        await feed.subscribe(listings(1), FeedMode.FULL)
        texts, rows = [], []
        async with asyncio.timeout(10):
            async for item in feed.batches():
                if isinstance(item, FeedEvent):
                    texts.append(item.text)
                else:
                    rows += item["price_paise"].tolist()
                    await feed.close()
    assert rows == [200]
    assert texts == ["upstox feed", "NSE_FO NORMAL_OPEN", "hello ***"]
    assert feed.skipped == 2


async def test_a_refused_login_ends_the_feed_and_is_told(upstox, client):
    upstox.replies[AUTHORIZE] = refusal(401, "UDAPI100050", "Invalid token")
    feed = feed_over(client)
    events = [item async for item in feed.batches()]
    assert [event.kind for event in events] == [REFUSED]
    assert "UDAPI100050" in events[0].text
    assert TOKEN not in events[0].text


async def test_a_refused_handshake_ends_the_feed(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with sockets(upstox, handler) as server:
        server.status = 403
        seen = await collect(feed_over(client), lambda seen: False)
    assert seen == [REFUSED]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(PAGE, 502), Reply(b""), success(None), success({"authorized_redirect_uri": None}), Reply({}, cut=0),
        success({"authorized_redirect_uri": "ws://feed.example.com/x"}), success({"authorized_redirect_uri": "http://x"}),
    ],
)  # fmt: skip
async def test_an_address_that_cannot_be_had_is_asked_for_again(upstox, client, reply):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with sockets(upstox, handler):
        good = upstox.otherwise
        upstox.otherwise = lambda asked: reply if len(upstox.asked) < 3 else good(asked)
        seen = await collect(feed_over(client), lambda seen: CONNECTED in seen)
    assert seen == [DISCONNECTED, DISCONNECTED, CONNECTED]


async def test_no_address_is_in_what_is_told_of_a_lost_connection(upstox, client):
    upstox.replies[AUTHORIZE] = success({"authorized_redirect_uri": "ws://127.0.0.1:9/feed?code=secret-code-x"})
    feed, texts = feed_over(client), []
    async with asyncio.timeout(10):
        async for item in feed.batches():
            assert isinstance(item, FeedEvent)
            texts.append(item.text)
            if len(texts) == 2:
                await feed.close()
    assert not any("secret-code" in text for text in texts)


async def test_limits_are_named_and_nothing_changes(client):
    feed = feed_over(client)
    await feed.subscribe(listings(*range(2000)), FeedMode.FULL)
    with pytest.raises(InvalidInput, match=r"2,001 instruments in mode full.*2,000"):
        await feed.subscribe(listings(2000), FeedMode.FULL)
    with pytest.raises(InvalidInput, match=r"mode full beside other modes.*1,500"):
        await feed.subscribe(listings(2000), FeedMode.PRICE)
    await feed.unsubscribe(range(500))
    await feed.subscribe(listings(*range(2000, 4000)), FeedMode.PRICE)
    with pytest.raises(InvalidInput, match=r"mode ltpc beside other modes.*2,000"):
        await feed.subscribe(listings(4000), FeedMode.PRICE)


@pytest.mark.parametrize(
    ("modes", "plus", "fine"),
    [
        (dict.fromkeys(range(5000), "ltpc"), False, True), (dict.fromkeys(range(5001), "ltpc"), False, False),
        (dict.fromkeys(range(3001), "option_greeks"), False, False), ({1: "full_d30"}, False, False),
        (dict.fromkeys(range(50), "full_d30"), True, True), (dict.fromkeys(range(51), "full_d30"), True, False),
    ],
)  # fmt: skip
def test_the_limits_of_each_mode(modes, plus, fine):
    if fine:
        check_limits(modes, plus=plus)
        return
    with pytest.raises(InvalidInput, match="upstox feed"):
        check_limits(modes, plus=plus)


async def test_what_the_feed_cannot_name_is_refused(client):
    odd = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
    with pytest.raises(InvalidInput, match="408065"):
        await feed_over(client).subscribe({1: odd}, FeedMode.FULL)
    with pytest.raises(InvalidInput, match="another"):
        await feed_over(client).subscribe({1: listing(1), 2: listing(1)}, FeedMode.FULL)


ORDER = {
    "update_type": "order", "user_id": "AB1", "exchange": "NFO", "instrument_token": "NSE_FO|1",
    "instrument_key": "NSE_FO|1",
    "trading_symbol": "NIFTY26DECFUT", "tradingsymbol": "NIFTY26DECFUT", "product": "I", "order_type": "LIMIT",
    "transaction_type": "BUY", "quantity": 65, "filled_quantity": 65, "pending_quantity": 0, "price": 10.0,
    "trigger_price": 0, "status": "complete", "tag": "tag1", "order_id": "261125000000001",
    "order_timestamp": "2026-11-25 10:00:00", "exchange_timestamp": "2026-11-25 10:00:01",
}  # fmt: skip


async def test_order_updates_ask_for_nothing_and_what_is_no_order_is_passed_over(upstox, client):
    old = {key: value for key, value in ORDER.items() if key not in ("trading_symbol", "instrument_token")}
    messages = [
        json.dumps({"update_type": "position", "quantity": 1}), json.dumps({"update_type": "holding"}),
        json.dumps(ORDER), json.dumps(old | {"status": "open", "filled_quantity": 0}).encode(),
        json.dumps({"update_type": "gtt_order"}), "not json", json.dumps(ORDER | {"quantity": None}),
    ]  # fmt: skip

    async def handler(server: Sockets, connection: ServerConnection) -> None:
        for message in messages:
            await connection.send(message)
        await connection.wait_closed()

    async with sockets(upstox, handler):
        updates = UpstoxOrderUpdates(
            client, instrument_of=lambda segment, key: 7 if (segment, key) == ("NSE_FO", "NSE_FO|1") else None,
            timing=QUICK, clock=EventClock(5),
        )  # fmt: skip
        seen: list[BrokerOrder | FeedEvent] = []
        async with asyncio.timeout(10):
            async for item in updates.updates():
                seen.append(item)
                if len(seen) == 5:
                    await updates.close()
    connected, filled, resting, *notices = seen
    assert isinstance(connected, FeedEvent)
    assert connected.kind is CONNECTED
    assert isinstance(filled, BrokerOrder)
    # Its trades are looked up by whoever needs them.
    assert (filled.status, filled.filled_quantity, filled.fills) == (BrokerStatus.UNKNOWN, 65, ())
    assert (filled.instrument, filled.account, upstox.calls(*TRADES_OF.split())) == (7, "AB1", [])
    assert isinstance(resting, BrokerOrder)
    assert resting.status is BrokerStatus.OPEN
    assert [notice.kind for notice in notices if isinstance(notice, FeedEvent)] == [FeedEventKind.NOTICE] * 2
    (asked,) = upstox.calls("GET", "/v2/feed/portfolio-stream-feed/authorize")
    assert asked.query == {"update_types": ["order"]}


async def test_order_updates_ask_for_a_new_address_with_a_new_token(upstox, client):
    async def handler(server: Sockets, connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with sockets(upstox, handler):
        authorised, used = upstox.otherwise, []

        def noting(asked) -> Reply:
            used.append(asked.headers["Authorization"])
            asked.headers["Authorization"] = f"Bearer {TOKEN}"
            return authorised(asked)

        upstox.otherwise = noting
        updates, seen = UpstoxOrderUpdates(client, instrument_of=lambda *_: 7, timing=QUICK), []
        async with asyncio.timeout(10):
            async for item in updates.updates():
                seen.append(item.kind)
                if len(seen) == 1:
                    client.use_token("another-token")
                if len(seen) == 3:
                    await updates.close()
    assert seen == [CONNECTED, FeedEventKind.DISCONNECTED, CONNECTED]
    assert used == [f"Bearer {TOKEN}", "Bearer another-token"]
