"""A feed that is killed, started again, doubled or followed by another, on the twins."""

import asyncio
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from testkit.driven_time import START_NS, driven
from testkit.feeds import (
    DAY_BEFORE,
    MUHURAT,
    built,
    contents,
    downstream,
    file_bars,
    life,
    memory_book,
    minute_bars,
    paced,
    run_to_end,
    same_bars,
    settings_for,
    stored,
    write_bars,
)
from testkit.waiting import WALL_TIMERS

from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.rng import uniform
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import feeds_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """One hour of Muhurat trading, and 50 bars of the afternoon two days before it."""
    return write_bars(tmp_path / "bars.parquet", (DAY_BEFORE, time(14, 40), 50), (MUHURAT, time(18, 15), 60))


@pytest.mark.parametrize("seed", range(4))
async def test_feed_killed_again_and_again_leaves_the_streams_as_if_it_had_not_been(
    seed: int, history: Path, bus: Bus
) -> None:
    quiet, database = MemoryBus(timers=WALL_TIMERS), MemoryDatabase()
    async with downstream(quiet):
        await run_to_end(paced(history), bus=quiet, book=memory_book())
    async with downstream(bus):
        ended, lives = False, 0
        while not ended:
            steps = 1 + int(40 * uniform(seed, lives))
            ended = await life(paced(history), bus=bus, database=database, steps=steps)
            lives += 1
    assert lives > 2
    assert await contents(bus) == await contents(quiet)
    assert same_bars((await stored(memory_book(database)))[-60:], file_bars(history, instrument=0))


async def test_finished_feed_started_again_publishes_nothing(history: Path, bus: Bus, book: MemoryBook) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, book=book)
        before = await contents(bus)
        feeder = await built(paced(history), bus=bus, book=book)
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        for _ in range(200):
            await asyncio.sleep(0)  # nothing here waits for anything but its turn: it would have published by then
        stop.set()
        await task
    assert await contents(bus) == before


async def test_another_feed_over_the_same_time_is_refused(history: Path, bus: Bus, book: MemoryBook) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, book=book)
        before = await contents(bus)
        with pytest.raises(InvalidInput, match="another TRADEBUS_NAMESPACE"):
            await run_to_end(paced(history, seed=2), bus=bus, book=book)
    assert await contents(bus) == before


async def test_later_feed_goes_on_where_the_earlier_one_ended(history: Path, bus: Bus, book: MemoryBook) -> None:
    async with downstream(bus):
        await run_to_end(
            settings_for(feed="history", history=history, symbols="NIFTY", to_date=DAY_BEFORE, speed="max", paced=True),
            bus=bus,
            book=book,
        )
        await run_to_end(paced(history), bus=bus, book=book)
    candles = await bus.tail(CANDLES, count=5000)
    starts = [entry.slice_start_ns for entry in candles if entry.kind == "candles"]
    ends = [entry.watermark_ns for entry in candles if entry.kind == "candles"]
    assert starts[1:] == ends[:-1]
    assert same_bars((await stored(book))[-60:], file_bars(history, instrument=0))


async def test_second_feed_stands_by_until_the_first_is_gone(history: Path, bus: Bus, book: MemoryBook) -> None:
    timers = SimulatedTimers(START_NS)
    first = await built(paced(history), bus=bus, book=book)
    second = await built(paced(history), bus=bus, book=memory_book(book.database), timers=timers)
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(first.run(stop_first))
    await bus.follow([CANDLES], after={CANDLES: "0"}, block_ms=10_000)
    standing_by = asyncio.create_task(second.run(stop_second))
    async with asyncio.timeout(20):
        while timers.next_due_ns() is None:  # it has asked for the right, and waits
            await asyncio.sleep(0)
    assert len(await bus.tail(CANDLES, count=10)) == 1
    stop_first.set()
    await running
    async with downstream(bus), driven(timers), asyncio.timeout(20):
        while not any(entry.kind == END_OF_FEED for entry in await bus.tail(CANDLES, count=1)):
            await asyncio.sleep(0.005)
    stop_second.set()
    await standing_by
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))


async def test_a_feed_that_loses_the_book_ends_and_says_so(history: Path, bus: Bus, book: MemoryBook) -> None:
    feeder = await built(paced(history), bus=bus, book=book)
    running = asyncio.create_task(feeder.run(asyncio.Event()))
    await bus.follow([CANDLES], after={CANDLES: "0"}, block_ms=10_000)
    book.database.go_away()
    async with downstream(bus), asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await running
    published = await contents(bus)
    book.database.come_back()
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, book=memory_book(book.database))
    assert (await contents(bus))[: len(published)] != [], "it went on"
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))


async def test_generated_feed_killed_on_one_day_goes_on_with_it_on_another(bus: Bus) -> None:
    settings = settings_for(symbols="NIFTY,TCS", speed="max", paced=True, ticks_per_minute=4, warmup_minutes=400)
    friday, monday = (EventClock(ist_to_ns(date(2024, 1, day), time(20))) for day in (5, 8))
    database = MemoryDatabase()
    async with downstream(bus):
        assert not await life(settings, bus=bus, database=database, steps=100, clock=friday)
        book = memory_book(database)
        await run_to_end(settings, bus=bus, book=book, clock=monday)
    row = await feeds_book(book).read()
    assert row is not None
    assert row.spec["from"] == "2024-01-05"
    assert row.status["state"] == "finished"
    assert len(minute_bars(await contents(bus))) == row.status["bars_total"] == row.status["bars"] == 750
    await run_to_end_of_next(settings, bus, book, monday)


async def run_to_end_of_next(settings: Any, bus: Bus, book: MemoryBook, clock: EventClock) -> None:
    """A feed that has ended is followed by one of a later day."""
    async with downstream(bus):
        feeder = await built(settings, bus=bus, book=book, clock=clock)
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        newest = (await bus.tail(CANDLES, count=1))[-1]
        (entry, *_) = await bus.follow([CANDLES], after={CANDLES: newest.entry_id}, block_ms=10_000)
        stop.set()
        await task
    assert entry.watermark_ns == ist_to_ns(date(2024, 1, 8), time(9, 15))
