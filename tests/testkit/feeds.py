"""What the market_data tests stand a feed up with: files, a downstream that keeps up, and lives that end abruptly."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.market_data.bootstrap import wire
from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED, TICKS
from services.market_data.feeds.recorded.feeder import Feeder
from services.market_data.settings import MarketDataSettings
from tradebus.brokers.audit.log import unrecorded
from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.contracts.records import CANDLE, Records
from tradebus.contracts.streams import ORDERS
from tradebus.history.columns import to_candles
from tradebus.history.loading import load_history
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.books import candles_book, feeds_book, instruments_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.waiting.timers import WallTimers

BAR_FIELDS = ["ts_open_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume"]
MUHURAT = date(2023, 11, 12)  # one hour, 18:15 to 19:15: a whole session in 60 bars
DAY_BEFORE = date(2023, 11, 10)


def write_bars(path: Path, *starts: tuple[date, time, int], seed: int = 5) -> Path:
    """A Parquet file of NIFTY bars: `minutes` bars from each start, a random walk."""
    walk = np.random.default_rng(seed)
    stamps = [
        np.datetime64(f"{day}T{start:%H:%M}") + np.arange(minutes).astype("timedelta64[m]")
        for day, start, minutes in starts
    ]
    ts = np.concatenate(stamps).astype("datetime64[us]")
    closes = np.round((19_400 + walk.standard_normal(len(ts)).cumsum() * 4) * 20) / 20
    opens = np.concatenate(([19_400.0], closes[:-1]))
    highs = np.maximum(opens, closes) + walk.integers(0, 40, len(ts)) * 0.05
    lows = np.minimum(opens, closes) - walk.integers(0, 40, len(ts)) * 0.05
    volume = walk.integers(0, 900, len(ts))
    columns = {"ts": ts, "open": opens, "high": highs, "low": lows, "close": closes, "volume": volume}
    pq.write_table(pa.table(columns), path)
    return path


def write_ticks(path: Path, *starts: tuple[date, time, int], seed: int = 5) -> Path:
    """A Parquet file of ticks `ts, price, volume`: so many from each start, one to nine seconds apart."""
    walk = np.random.default_rng(seed)
    stamps = [
        np.datetime64(f"{day}T{start:%H:%M}") + walk.integers(1, 10, count).cumsum().astype("timedelta64[s]")
        for day, start, count in starts
    ]
    ts = np.concatenate(stamps).astype("datetime64[us]")
    prices = np.round((19_400 + walk.standard_normal(len(ts)).cumsum()) * 20) / 20
    pq.write_table(pa.table({"ts": ts, "price": prices, "volume": walk.integers(0, 90, len(ts))}), path)
    return path


def settings_for(**given: Any) -> MarketDataSettings:
    """Settings without an environment. The URLs are not used: tests hand the connections in."""
    urls = {"database_url": SecretStr("postgresql://unused"), "redis_url": SecretStr("redis://unused")}
    return MarketDataSettings(**{**urls, "start_immediately": True, **given})


async def keep_up(bus: Bus, stop: asyncio.Event) -> None:
    """Everything downstream in one: answers each slice of candles with the orders watermark."""
    after = {CANDLES: "0"}
    while not stop.is_set():
        for entry in await bus.follow([CANDLES], after=after, block_ms=50):
            after[CANDLES] = entry.entry_id
            if entry.kind == "candles":
                await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)])


@asynccontextmanager
async def downstream(bus: Bus) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(keep_up(bus, stop))
    try:
        yield
    finally:
        stop.set()
        await task


def memory_book(database: MemoryDatabase | None = None) -> MemoryBook:
    """A process's door to a database in memory, a new one where none is given."""
    return MemoryBook(database or MemoryDatabase(), producer="market_data-1")


async def built(
    settings: MarketDataSettings, *, bus: Bus, book: Book, clock: Clock | None = None, timers: Timers | None = None
) -> Feeder:
    """The feeder of recorded days, measured in a registry of its own."""
    (feeder,) = await wire(
        settings, bus=bus, book=book, clock=clock or WallClock(), timers=timers or WallTimers(clock or WallClock()),
        registry=CollectorRegistry(), log_of=unrecorded,
    )  # fmt: skip
    assert isinstance(feeder, Feeder)
    return feeder


async def run_to_end(
    settings: MarketDataSettings, *, bus: Bus, book: Book, clock: Clock | None = None, timers: Timers | None = None,
    seconds: float = 60,
) -> None:  # fmt: skip
    """One life of the feed, until its end marker is out and its row says so."""
    feeder = await built(settings, bus=bus, book=book, clock=clock, timers=timers)
    stop = asyncio.Event()
    task = asyncio.create_task(feeder.run(stop))
    try:
        async with asyncio.timeout(seconds):
            while not task.done() and not await ended(bus, book, identity=feeder.feed.identity):
                await asyncio.sleep(0.005)
    finally:
        stop.set()
        await task


async def ended(bus: Bus, book: Book, *, identity: str) -> bool:
    newest = await bus.tail(CANDLES, count=1)
    if not newest or newest[-1].kind != END_OF_FEED:
        return False
    row = await feeds_book(book).read()
    return row is not None and row.identity == identity and row.status["state"] == "finished"


async def contents(bus: Bus) -> list[tuple[Any, ...]]:
    """All that both streams hold, without what differs from run to run (the entries' ids)."""
    entries: list[Entry] = [*await bus.tail(TICKS, count=50_000), *await bus.tail(CANDLES, count=50_000)]
    return [(e.stream, e.kind, e.slice_start_ns, e.watermark_ns, e.body) for e in entries]


def minute_bars(found: list[tuple[Any, ...]]) -> Records:
    """The one-minute candles among the contents of the streams."""
    bodies = [np.frombuffer(body, CANDLE) for stream, kind, _, _, body in found if kind == "candles"]
    candles = np.concatenate([np.empty(0, CANDLE), *bodies])
    return candles[candles["timeframe_seconds"] == 60]


class Killed(BaseException):
    """The process is gone: nothing after this has any effect."""


class Fuse:
    """Ends a life at the n-th step. Every wrapped call is two steps: before it takes effect, and after."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    @property
    def blown(self) -> bool:
        return self._left <= 0

    async def guard(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self._burn()
        result = await call()
        self._burn()
        return result

    def _burn(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise Killed


class FusedBus:
    """A bus whose publishes burn the fuse."""

    def __init__(self, bus: Bus, fuse: Fuse) -> None:
        self._bus, self._fuse = bus, fuse

    async def publish(self, outgoing: Any) -> None:
        await self._fuse.guard(lambda: self._bus.publish(outgoing))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bus, name)


async def life(
    settings: MarketDataSettings, *, bus: Bus, database: MemoryDatabase, steps: int, clock: Clock | None = None
) -> bool:
    """One life that ends after so many steps, as kill -9 would end it. True where the feed ended before that."""
    fuse, book = Fuse(steps), memory_book(database)
    fused: Any = FusedBus(bus, fuse)
    with suppress(Killed):
        try:
            await run_to_end(settings, bus=fused, book=book, clock=clock)
            return True
        finally:
            book.terminate()
    return False


def paced(history: Path, **given: Any) -> MarketDataSettings:
    """A paced run of the Muhurat hour of a file."""
    return settings_for(
        feed="history", history=history, symbols="NIFTY", from_date=MUHURAT, speed="max", paced=True,
        ticks_per_minute=6, **given,
    )  # fmt: skip


def file_bars(history: Path, *, instrument: int, day: date = MUHURAT) -> Records:
    """A day's bars as the file has them."""
    columns = load_history(history, symbols=["NIFTY"], from_date=day, to_date=day).columns
    return to_candles(columns, instrument_of={"NIFTY": instrument})


async def stored(book: Book) -> Records:
    """All bars of NIFTY that the book holds."""
    instrument = (await instruments_book(book).load()).find("NIFTY").instrument_id
    return await candles_book(book).read(instrument=instrument, from_ns=0, to_ns=2**62)


def same_bars(left: Records, right: Records) -> bool:
    """Whether times, prices and volumes are equal, row by row."""
    return all(np.array_equal(left[name], right[name]) for name in BAR_FIELDS)
