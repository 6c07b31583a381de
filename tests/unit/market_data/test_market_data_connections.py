"""When a feed's connections are opened again, and when its login is looked at: by the timers that are given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from prometheus_client import CollectorRegistry
from testkit.simulated import passes

from services.market_data.feeds.live.connections import FeedConnections
from services.market_data.feeds.live.metrics import LiveMetrics
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.kernel.timers import SimulatedTimers

SECOND = 1_000_000_000


class Ending:
    """A feed that says one thing and ends."""

    def __init__(self, kind: FeedEventKind) -> None:
        self.kind = kind

    async def batches(self) -> AsyncIterator[FeedEvent]:
        yield FeedEvent(self.kind)

    async def close(self) -> None: ...


class Source:
    """Counts the feeds that were opened and the looks at the login."""

    name = "kite"

    def __init__(self, kind: FeedEventKind) -> None:
        self.kind, self.opened, self.looked = kind, 0, 0

    def feed(self) -> Ending:
        self.opened += 1
        return Ending(self.kind)

    async def login_changed(self) -> bool:
        self.looked += 1
        return False


@asynccontextmanager
async def running(source: Any, timers: SimulatedTimers, *, connections: int) -> AsyncIterator[None]:
    metrics = LiveMetrics(CollectorRegistry())
    found = FeedConnections(source, [{}] * connections, login_seconds=30, metrics=metrics, timers=timers)
    task = asyncio.create_task(found.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(question: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not question():
            await asyncio.sleep(0)


async def test_a_feed_that_ends_is_opened_again_after_half_a_second() -> None:
    timers, source = SimulatedTimers(), Source(FeedEventKind.DISCONNECTED)
    async with running(source, timers, connections=1):
        await until(lambda: source.opened == 1)
        await passes(timers, 0)
        await passes(timers, 0.499)
        assert source.opened == 1
        await passes(timers, 0.001)
        assert (source.opened, source.looked) == (2, 0)


async def test_a_refused_feed_waits_as_long_as_the_login_and_has_it_looked_at_at_once() -> None:
    timers, source = SimulatedTimers(), Source(FeedEventKind.REFUSED)
    async with running(source, timers, connections=1):
        await until(lambda: source.looked == 1)
        await passes(timers, 29.999)
        assert (source.opened, source.looked) == (1, 1)
        await passes(timers, 0.001)
        assert source.opened == 2


async def test_the_login_is_looked_at_every_so_often() -> None:
    timers, source = SimulatedTimers(), Source(FeedEventKind.CONNECTED)
    async with running(source, timers, connections=0):
        await passes(timers, 0)
        for looks in range(1, 4):
            await passes(timers, 29.999)
            assert source.looked == looks - 1
            await passes(timers, 0.001)
            assert source.looked == looks
