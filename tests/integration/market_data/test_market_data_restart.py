"""A feed that is killed, started again, doubled or followed by another, on real Redis and Postgres."""

import asyncio
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from testkit.feeds import (
    DAY_BEFORE,
    MUHURAT,
    built,
    contents,
    downstream,
    file_bars,
    life,
    minute_bars,
    paced,
    run_to_end,
    same_bars,
    settings_for,
    stored,
    write_bars,
)

from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED
from tradebus.bus.port import Bus
from tradebus.bus.redis.bus import RedisBus
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import RandomIds
from tradebus.kernel.rng import uniform
from tradebus.kernel.time import ist_to_ns
from tradebus.store.migrate import drop_namespace, migrate
from tradebus.store.store import Store


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """One hour of Muhurat trading, and 50 bars of the afternoon two days before it."""
    return write_bars(tmp_path / "bars.parquet", (DAY_BEFORE, time(14, 40), 50), (MUHURAT, time(18, 15), 60))


@pytest.mark.parametrize("seed", range(4))
async def test_feed_killed_again_and_again_leaves_the_streams_as_if_it_had_not_been(
    seed: int, history: Path, redis_url: str, database_url: str, migrated: str, bus: Bus
) -> None:
    async with downstream(bus):
        quiet = await _undisturbed(history, redis_url, database_url)
        ended, lives = False, 0
        while not ended:
            store = await Store.connect(database_url, namespace=migrated, producer=f"life-{lives}")
            ended = await life(paced(history), bus=bus, store=store, steps=1 + int(40 * uniform(seed, lives)))
            lives += 1
    assert lives > 2
    assert await contents(bus) == quiet
    store = await Store.connect(database_url, namespace=migrated, producer="after")
    try:
        assert same_bars((await stored(store))[-60:], file_bars(history, instrument=0))
    finally:
        await store.close()


async def _undisturbed(history: Path, redis_url: str, database_url: str) -> list[tuple[Any, ...]]:
    """What the same feed leaves in a namespace where nobody disturbs it."""
    namespace = f"quiet_{RandomIds().new_id()[-12:]}"
    migrate(database_url, namespace=namespace)
    bus = await RedisBus.connect(redis_url, namespace=namespace)
    store = await Store.connect(database_url, namespace=namespace, producer="quiet")
    try:
        async with downstream(bus):
            await run_to_end(paced(history), bus=bus, store=store)
        return await contents(bus)
    finally:
        await store.close()
        await bus.close()
        drop_namespace(database_url, namespace=namespace)


async def test_finished_feed_started_again_publishes_nothing(history: Path, bus: Bus, store: Store) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, store=store)
        before = await contents(bus)
        feeder = await built(paced(history), bus=bus, store=store)
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        await asyncio.sleep(0.5)  # it would have published by then: less time would prove less, never fail
        stop.set()
        await task
    assert await contents(bus) == before


async def test_another_feed_over_the_same_time_is_refused(history: Path, bus: Bus, store: Store) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, store=store)
        before = await contents(bus)
        with pytest.raises(InvalidInput, match="another TRADEBUS_NAMESPACE"):
            await run_to_end(paced(history, seed=2), bus=bus, store=store)
    assert await contents(bus) == before


async def test_later_feed_goes_on_where_the_earlier_one_ended(history: Path, bus: Bus, store: Store) -> None:
    async with downstream(bus):
        await run_to_end(
            settings_for(feed="history", history=history, symbols="NIFTY", to_date=DAY_BEFORE, speed="max", paced=True),
            bus=bus,
            store=store,
        )
        await run_to_end(paced(history), bus=bus, store=store)
    candles = await bus.tail(CANDLES, count=5000)
    starts = [entry.slice_start_ns for entry in candles if entry.kind == "candles"]
    ends = [entry.watermark_ns for entry in candles if entry.kind == "candles"]
    assert starts[1:] == ends[:-1]
    assert same_bars((await stored(store))[-60:], file_bars(history, instrument=0))


async def test_second_feed_stands_by_until_the_first_is_gone(
    history: Path, bus: Bus, store: Store, database_url: str, migrated: str
) -> None:
    other = await Store.connect(database_url, namespace=migrated, producer="other")
    first = await built(paced(history), bus=bus, store=store)
    second = await built(paced(history), bus=bus, store=other)
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(first.run(stop_first))
    await bus.follow([CANDLES], after={CANDLES: "0"}, block_ms=10_000)
    standing_by = asyncio.create_task(second.run(stop_second))
    async with downstream(bus):
        await asyncio.sleep(0.2)  # both run meanwhile: the first may end whenever it likes
        stop_first.set()
        await running
        while not any(entry.kind == END_OF_FEED for entry in await bus.tail(CANDLES, count=1)):
            await asyncio.sleep(0.02)
    stop_second.set()
    await standing_by
    await other.close()
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))


async def test_generated_feed_killed_on_one_day_goes_on_with_it_on_another(
    bus: Bus, database_url: str, migrated: str
) -> None:
    settings = settings_for(symbols="NIFTY,TCS", speed="max", paced=True, ticks_per_minute=4, warmup_minutes=400)
    friday, monday = (EventClock(ist_to_ns(date(2024, 1, day), time(20))) for day in (5, 8))

    async def connected() -> Store:
        return await Store.connect(database_url, namespace=migrated, producer="generated")

    async with downstream(bus):
        assert not await life(settings, bus=bus, store=await connected(), steps=100, clock=friday)
        store = await connected()
        await run_to_end(settings, bus=bus, store=store, clock=monday)
    row = await store.pool.fetchrow("SELECT spec, status FROM feeds")
    assert row["spec"]["from"] == "2024-01-05"
    assert row["status"]["state"] == "finished"
    assert len(minute_bars(await contents(bus))) == row["status"]["bars_total"] == row["status"]["bars"] == 750
    await run_to_end_of_next(settings, bus, store, monday)
    await store.close()


async def run_to_end_of_next(settings: Any, bus: Bus, store: Store, clock: EventClock) -> None:
    """A feed that has ended is followed by one of a later day."""
    async with downstream(bus):
        feeder = await built(settings, bus=bus, store=store, clock=clock)
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        newest = (await bus.tail(CANDLES, count=1))[-1]
        (entry, *_) = await bus.follow([CANDLES], after={CANDLES: newest.entry_id}, block_ms=10_000)
        stop.set()
        await task
    assert entry.watermark_ns == ist_to_ns(date(2024, 1, 8), time(9, 15))
