"""A feed on real Redis and Postgres: what it leaves behind, undisturbed and killed."""

import asyncio
import json
from datetime import date, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from testkit.feeds import (
    DAY_BEFORE,
    MUHURAT,
    contents,
    downstream,
    life,
    minute_bars,
    run_to_end,
    settings_for,
    write_bars,
)

from services.market_data.adapters.bus_sink import CANDLES, END_OF_FEED, TICKS
from services.market_data.adapters.history import load_history
from services.market_data.bootstrap import build
from services.market_data.domain.columns import to_candles
from tradebus.bus.port import Bus, Outgoing
from tradebus.bus.redis_bus import RedisBus
from tradebus.contracts.records import TICK, Records, decode
from tradebus.contracts.streams import ORDERS, SESSIONS
from tradebus.kernel.clock import EventClock, WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import RandomIds
from tradebus.kernel.rng import uniform
from tradebus.kernel.time import ist_to_ns
from tradebus.store.candles import read_candles
from tradebus.store.instruments import load_instruments
from tradebus.store.store import Store

BAR_FIELDS = ["ts_open_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume"]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """One hour of Muhurat trading, and 50 bars of the afternoon two days before it."""
    return write_bars(tmp_path / "bars.parquet", (DAY_BEFORE, time(14, 40), 50), (MUHURAT, time(18, 15), 60))


def paced(history: Path, **given: Any) -> Any:
    return settings_for(
        feed="history", history=history, symbols="NIFTY", from_date=MUHURAT, speed="max", paced=True,
        ticks_per_minute=6, **given,
    )  # fmt: skip


def file_bars(history: Path, *, instrument: int, day: date = MUHURAT) -> Records:
    columns = load_history(history, symbols=["NIFTY"], from_date=day, to_date=day).columns
    return to_candles(columns, instrument_of={"NIFTY": instrument})


async def stored(store: Store) -> Records:
    master = await load_instruments(store.pool)
    instrument = master.find("NIFTY").instrument_id
    return await read_candles(store.pool, instrument=instrument, from_ns=0, to_ns=2**62)


def same_bars(left: Records, right: Records) -> bool:
    return all(np.array_equal(left[name], right[name]) for name in BAR_FIELDS)


async def test_paced_day_gives_the_files_bars_back_on_the_bus_and_in_the_store(
    history: Path, bus: Bus, store: Store
) -> None:
    async with downstream(bus):
        await run_to_end(paced(history, warmup_minutes=20), bus=bus, store=store)
    found = await contents(bus)
    bars = file_bars(history, instrument=0)
    assert same_bars(minute_bars(found), bars)
    kept = await stored(store)
    assert same_bars(kept[-60:], bars)
    assert same_bars(kept[:-60], file_bars(history, instrument=0, day=DAY_BEFORE)[-20:])


async def test_slices_of_both_streams_are_contiguous_and_carry_their_watermarks(
    history: Path, bus: Bus, store: Store
) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, store=store)
    ticks, candles = await bus.tail(TICKS, count=1000), await bus.tail(CANDLES, count=1000)
    assert [entry.kind for entry in candles] == ["candles"] * 61 + [END_OF_FEED]
    assert [entry.slice_start_ns for entry in ticks] == [entry.slice_start_ns for entry in candles[:-1]]
    assert ticks[0].body == candles[0].body == b""
    assert candles[0].watermark_ns == ist_to_ns(MUHURAT, time(18, 15))
    for before, after in pairwise(ticks):
        assert before.watermark_ns is not None
        assert after.slice_start_ns == before.watermark_ns + 1
    for tick, candle in zip(ticks, candles[:-1], strict=True):
        assert tick.watermark_ns == (candle.watermark_ns or 0) - 1
        times = decode(tick.body, TICK)["ts_event_ns"]
        assert ((times >= tick.slice_start_ns) & (times <= tick.watermark_ns)).all()


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
    from tradebus.store.migrate import drop_namespace, migrate

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
        (feeder,) = await build(paced(history), bus=bus, store=store, clock=WallClock(), ids=RandomIds())
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        await asyncio.sleep(0.5)
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


async def test_nothing_is_published_while_a_slice_is_not_settled(history: Path, bus: Bus, store: Store) -> None:
    (feeder,) = await build(paced(history), bus=bus, store=store, clock=WallClock(), ids=RandomIds())
    stop = asyncio.Event()
    task = asyncio.create_task(feeder.run(stop))
    after = {CANDLES: "0"}
    first = (await bus.follow([CANDLES], after=after, block_ms=10_000))[0]
    after[CANDLES] = first.entry_id
    assert await bus.follow([CANDLES], after=after, block_ms=300) == []
    await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=(first.watermark_ns or 0) - 1)])
    assert await bus.follow([CANDLES], after=after, block_ms=300) == []
    await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=first.watermark_ns)])
    second = await bus.follow([CANDLES], after=after, block_ms=10_000)
    assert [entry.slice_start_ns for entry in second] == [first.watermark_ns]
    stop.set()
    await task


async def test_paced_feed_waits_for_a_session(history: Path, bus: Bus, store: Store) -> None:
    settings = paced(history, start_immediately=False)
    (feeder,) = await build(settings, bus=bus, store=store, clock=WallClock(), ids=RandomIds())
    stop = asyncio.Event()
    task = asyncio.create_task(feeder.run(stop))
    after = {CANDLES: "0"}
    assert await bus.follow([CANDLES], after=after, block_ms=500) == []
    await bus.publish([Outgoing(SESSIONS.name, "SESSION_STARTED", b"{}")])
    assert len(await bus.follow([CANDLES], after=after, block_ms=10_000)) == 1
    stop.set()
    await task


async def test_second_feed_stands_by_until_the_first_is_gone(
    history: Path, bus: Bus, store: Store, database_url: str, migrated: str
) -> None:
    other = await Store.connect(database_url, namespace=migrated, producer="other")
    build_in = {"bus": bus, "clock": WallClock(), "ids": RandomIds()}
    (first,) = await build(paced(history), store=store, **build_in)  # type: ignore[arg-type]
    (second,) = await build(paced(history), store=other, **build_in)  # type: ignore[arg-type]
    stop_first, stop_second = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(first.run(stop_first))
    await bus.follow([CANDLES], after={CANDLES: "0"}, block_ms=10_000)
    standing_by = asyncio.create_task(second.run(stop_second))
    async with downstream(bus):
        await asyncio.sleep(0.2)
        stop_first.set()
        await running
        while not any(entry.kind == END_OF_FEED for entry in await bus.tail(CANDLES, count=1)):
            await asyncio.sleep(0.02)
    stop_second.set()
    await standing_by
    await other.close()
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))


@pytest.mark.parametrize("speed", [4000.0, "max"])
async def test_unpaced_feed_gives_the_same_bars(speed: float | str, history: Path, bus: Bus, store: Store) -> None:
    settings = settings_for(
        feed="history", history=history, symbols="NIFTY", from_date=MUHURAT, speed=speed, ticks_per_minute=6
    )
    await run_to_end(settings, bus=bus, store=store)
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))
    assert same_bars((await stored(store))[-60:], file_bars(history, instrument=0))
    ticks = await bus.tail(TICKS, count=1000)
    assert all(entry.body for entry in ticks)
    for before, after in pairwise(ticks):
        assert (after.slice_start_ns or 0) > (before.watermark_ns or 0)


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
        (feeder,) = await build(settings, bus=bus, store=store, clock=clock, ids=RandomIds())
        stop = asyncio.Event()
        task = asyncio.create_task(feeder.run(stop))
        newest = (await bus.tail(CANDLES, count=1))[-1]
        (entry, *_) = await bus.follow([CANDLES], after={CANDLES: newest.entry_id}, block_ms=10_000)
        stop.set()
        await task
    assert entry.watermark_ns == ist_to_ns(date(2024, 1, 8), time(9, 15))


async def test_progress_is_broadcast(history: Path, bus: Bus, store: Store) -> None:
    listener = bus.listen("md.progress")
    await listener.ready()
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, store=store)
    heard = json.loads(await anext(aiter(listener)))
    assert heard["bars"] == heard["bars_total"] == 60
    await listener.aclose()


async def test_unsound_history_stores_and_publishes_nothing(tmp_path: Path, bus: Bus, store: Store) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("ts,open,high,low,close\n2023-11-12 18:15,1,2,0.5,1\n2023-11-12 18:16,1,0.2,0.5,1\n")
    with pytest.raises(InvalidInput, match=r"bars\.csv: row 2 .*high 0\.20 is below low 0\.50"):
        await build(paced(path), bus=bus, store=store, clock=WallClock(), ids=RandomIds())
    assert await contents(bus) == []
    assert await store.pool.fetchval("SELECT count(*) FROM instruments") == 0
