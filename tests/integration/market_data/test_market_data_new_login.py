"""A connection that outlives its login: Kite's own adapter at a ticker that answers everybody and tells only today's
token anything."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from prometheus_client import CollectorRegistry
from testkit.feeds import settings_for
from testkit.waiting import WALL_TIMERS
from websockets.asyncio.server import ServerConnection, serve

from services.market_data.feeds.live.connections import FeedConnections
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.source import LiveSource
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.feed import FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.registry import open_broker
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.kernel.clock import WallClock

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 10)
TCS = ListedInstrument(InstrumentKey(Segment.NSE, "TCS"), "2953217", "NSE", "TCS", 1, 10)


class Ticker:
    """Heartbeats for whoever comes with another token than `token`, packets of both instruments for who has it."""

    def __init__(self) -> None:
        self.token = "of yesterday"
        self.seen: list[str] = []

    async def talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        token = parse_qs(urlsplit(connection.request.path).query)["access_token"][0]
        self.seen.append(token)
        while True:
            packets = b"".join(struct.pack(">HII", 8, number, 155_000) for number in (408065, 2953217))
            await connection.send(struct.pack(">H", 2) + packets if token == self.token else b"\0")
            await asyncio.sleep(0.02)


@pytest.fixture
async def ticker() -> AsyncIterator[tuple[Ticker, str]]:
    found = Ticker()
    async with serve(found.talk, "127.0.0.1", 0) as server:
        yield found, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def store_login(state: Path, token: str) -> None:
    Credentials(state).put("kite", Credential("kite", "key", api_secret="secret", access_token=token))


@asynccontextmanager
async def following(state: Path, url: str, *, login_seconds: float) -> AsyncIterator[FeedConnections]:
    settings = settings_for(feed="kite", state_dir=state, kite_url=url, symbols="INFY,TCS")
    source = LiveSource(settings, open_broker, log_of=unrecorded, clock=WallClock(), timers=WALL_TIMERS)
    asked = [{0: (INFY, FeedMode.FULL)}, {1: (TCS, FeedMode.FULL)}]
    metrics = LiveMetrics(CollectorRegistry())
    timers = WALL_TIMERS
    connections = FeedConnections(source, asked, login_seconds=login_seconds, metrics=metrics, timers=timers)
    task = asyncio.create_task(connections.run())
    try:
        yield connections
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        source.close()


async def heard_again(connections: FeedConnections, instruments: set[int]) -> None:
    connections.take()
    heard: set[int] = set()
    async with asyncio.timeout(30):
        while not instruments <= heard:
            await connections.arrived.wait()
            heard |= set(connections.take()["instrument"].tolist())


@pytest.mark.parametrize("watched", [True, False])
async def test_every_socket_gets_the_new_login_whoever_notices_it_first(
    tmp_path: Path, ticker: tuple[Ticker, str], watched: bool
) -> None:
    """`watched`: the stored login is looked at often; else it is looked at when a silent connection is given up."""
    server, url = ticker
    store_login(tmp_path, "of yesterday")
    async with following(tmp_path, url, login_seconds=0.05 if watched else 3600) as connections:
        await heard_again(connections, {0, 1})
        server.token = "of today"
        store_login(tmp_path, "of today")
        if not watched:
            assert await connections.reopen({1}) == {0, 1}
        await heard_again(connections, {0, 1})
    first = server.seen.index("of today")
    assert set(server.seen[:first]) == {"of yesterday"}
    assert set(server.seen[first:]) == {"of today"}


async def test_a_silent_connection_with_the_login_that_is_stored_is_reopened_alone(
    tmp_path: Path, ticker: tuple[Ticker, str]
) -> None:
    server, url = ticker
    store_login(tmp_path, "of yesterday")
    async with following(tmp_path, url, login_seconds=3600) as connections:
        await heard_again(connections, {0, 1})
        assert await connections.reopen({1}) == {1}
        async with asyncio.timeout(30):
            while len(server.seen) < 3:
                await asyncio.sleep(0.01)
        await heard_again(connections, {0, 1})
    assert len(server.seen) == 3
