"""A broker's live feed on any bus and book, and what it has published."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from services.market_data.bootstrap import wire
from services.market_data.feeds.bus_sink import TICKS
from testkit.driven_time import START_NS, driven
from testkit.fake_broker import (
    FakeBroker,
    opening,
    quotes,
)
from testkit.feeds import settings_for
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.bus.port import Bus
from tradebus.contracts.base import Message
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import MD_GAPS
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers, Timers
from tradebus.store.book import Book
from tradebus.waiting.timers import sleep

SECOND = 1_000_000_000
DAY = date(2026, 11, 25)
TEN = ist_to_ns(DAY, time(10))
SPEED = 60
_POLL_SECONDS = 0.001  # while time is driven, much goes on meanwhile


@dataclass
class Live:
    broker: FakeBroker
    task: "asyncio.Task[None]"
    clock: Clock
    timers: Timers

    @property
    def now_ns(self) -> int:
        """The market's time."""
        return self.clock.now_ns()

    async def quote(self, symbol_id: int, seconds: list[float], prices: list[int], *, volume: int = 0) -> None:
        await eventually(lambda: self.broker.feeds and self.broker.feeds[-1].subscribed)
        times = [TEN + int(second * SECOND) for second in seconds]
        self.broker.feeds[-1].items.put_nowait(quotes(symbol_id, times, prices, volume=volume))


async def eventually(question, seconds: float = 20.0):
    async with asyncio.timeout(seconds):
        while not (answer := question()):
            await asyncio.sleep(_POLL_SECONDS)
        return answer


def settings(state: Path, *, wall_ns: int, symbols="NIFTY,RELIANCE", speed=SPEED, begin_ns=TEN, **given):
    Credentials(state).put("kite", Credential("kite", "key", access_token="tok"))
    return settings_for(
        feed="kite", symbols=symbols, state_dir=state, market_clock=f"{begin_ns}@{wall_ns}x{speed}", warmup_minutes=360,
        login_seconds=0.1, backfill_retry_seconds=0.05, **given,
    )  # fmt: skip


async def ticked(bus: Bus) -> None:
    """Until a tick is out."""
    async with asyncio.timeout(20):
        while not len(await entries(bus, TICKS, TICK)):
            await asyncio.sleep(_POLL_SECONDS)


async def told(bus: Bus, kind: str, *, count: int = 1) -> list[Message]:
    """The messages of a kind on md.gaps, once there are so many."""
    async with asyncio.timeout(30):
        while True:
            found = [entry for entry in await bus.tail(MD_GAPS.name, count=1000) if entry.kind == kind]
            if len(found) >= count:
                return [parse(entry.body) for entry in found]
            await asyncio.sleep(_POLL_SECONDS)


@asynccontextmanager
async def running(
    broker: FakeBroker, state: Path, bus: Bus, book: Book, *, timers: Timers | None = None, **given
) -> AsyncIterator[Live]:
    """Its parts run by `timers`; where none are given, in driven time."""
    async with AsyncExitStack() as stack:
        if timers is None:
            timers = simulated = SimulatedTimers(START_NS)
            await stack.enter_async_context(driven(simulated))
        chosen = settings(state, wall_ns=timers.now_ns(), **given)
        (feeder,) = await wire(
            chosen, bus=bus, book=book, clock=timers, log_of=unrecorded, open_broker=opening(broker), timers=timers,
            registry=CollectorRegistry(),
        )  # fmt: skip
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        try:
            yield Live(broker, task, chosen.clock_of_market(timers)[0], timers)
        finally:
            stop.set()
            async with asyncio.timeout(10):
                await task


async def entries(bus: Bus, stream: str, dtype) -> np.ndarray:
    found = [decode(entry.body, dtype) for entry in await bus.tail(stream, count=10_000)]
    return np.concatenate(found) if found else np.empty(0, dtype)


async def quiet_until(bus: Bus, live: Live, instrument: int, question) -> None:
    """Ticks of one instrument, ten a second by the feed's timers, until `question` is answered."""
    async with asyncio.timeout(30):
        while not await question():
            await live.quote(instrument, [(live.now_ns - TEN) / SECOND], [2_600_500])
            await sleep(live.timers, 0.1)
