"""A feed on the twins: what it publishes and stores, and when."""

import asyncio
import json
from datetime import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from testkit.driven_time import START_NS, driven
from testkit.feeds import (
    DAY_BEFORE,
    MUHURAT,
    built,
    contents,
    downstream,
    file_bars,
    minute_bars,
    paced,
    run_to_end,
    same_bars,
    settings_for,
    stored,
    write_bars,
    write_ticks,
)

from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED, TICKS
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.streams import ORDERS, SESSIONS
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books import instruments_book
from tradebus.store.memory_book import MemoryBook


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """One hour of Muhurat trading, and 50 bars of the afternoon two days before it."""
    return write_bars(tmp_path / "bars.parquet", (DAY_BEFORE, time(14, 40), 50), (MUHURAT, time(18, 15), 60))


async def test_paced_day_gives_the_files_bars_back_on_the_bus_and_in_the_store(
    history: Path, bus: Bus, book: MemoryBook
) -> None:
    async with downstream(bus):
        await run_to_end(paced(history, warmup_minutes=20), bus=bus, book=book)
    found = await contents(bus)
    bars = file_bars(history, instrument=0)
    assert same_bars(minute_bars(found), bars)
    kept = await stored(book)
    assert same_bars(kept[-60:], bars)
    assert same_bars(kept[:-60], file_bars(history, instrument=0, day=DAY_BEFORE)[-20:])


async def test_paced_ticks_go_out_as_they_are_with_the_bars_they_make(
    tmp_path: Path, bus: Bus, book: MemoryBook
) -> None:
    path = write_ticks(tmp_path / "ticks.parquet", (DAY_BEFORE, time(14, 40), 100), (MUHURAT, time(18, 15), 300))
    async with downstream(bus):
        await run_to_end(paced(path, warmup_minutes=5), bus=bus, book=book)
    bodies = [decode(entry.body, TICK) for entry in await bus.tail(TICKS, count=1000)]
    prices = [price for body in bodies for price in body["price_paise"].tolist()]
    recorded = np.rint(pq.read_table(path)["price"].to_numpy()[100:] * 100).astype(int).tolist()
    assert prices[:300] == recorded
    assert set(prices[300:]) == {recorded[-1]}, "from the square-off on, where the data breaks off before it"
    bars = minute_bars(await contents(bus))
    assert int(bars["tick_count"].sum()) == 300
    kept = await stored(book)
    assert same_bars(kept[5:], bars)
    assert (kept["ts_open_ns"][:5] < ist_to_ns(MUHURAT, time(0))).all()


async def test_slices_of_both_streams_are_contiguous_and_carry_their_watermarks(
    history: Path, bus: Bus, book: MemoryBook
) -> None:
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, book=book)
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


async def test_nothing_is_published_while_a_slice_is_not_settled(history: Path, bus: Bus, book: MemoryBook) -> None:
    feeder = await built(paced(history), bus=bus, book=book)
    stop = asyncio.Event()
    task = asyncio.create_task(feeder.run(stop))
    after = {CANDLES: "0"}
    first = (await bus.follow([CANDLES], after=after, block_ms=10_000))[0]
    after[CANDLES] = first.entry_id
    assert await bus.follow([CANDLES], after=after, block_ms=50) == []
    await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=(first.watermark_ns or 0) - 1)])
    assert await bus.follow([CANDLES], after=after, block_ms=50) == []
    await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=first.watermark_ns)])
    second = await bus.follow([CANDLES], after=after, block_ms=10_000)
    assert [entry.slice_start_ns for entry in second] == [first.watermark_ns]
    stop.set()
    await task


async def test_paced_feed_waits_for_a_session(history: Path, bus: Bus, book: MemoryBook) -> None:
    settings = paced(history, start_immediately=False)
    feeder = await built(settings, bus=bus, book=book)
    stop = asyncio.Event()
    task = asyncio.create_task(feeder.run(stop))
    after = {CANDLES: "0"}
    assert await bus.follow([CANDLES], after=after, block_ms=50) == []
    await bus.publish([Outgoing(SESSIONS.name, "SESSION_STARTED", b"{}")])
    assert len(await bus.follow([CANDLES], after=after, block_ms=10_000)) == 1
    stop.set()
    await task


@pytest.mark.parametrize("speed", [4000.0, "max"])
async def test_unpaced_feed_gives_the_same_bars(speed: float | str, history: Path, bus: Bus, book: MemoryBook) -> None:
    settings = settings_for(
        feed="history", history=history, symbols="NIFTY", from_date=MUHURAT, speed=speed, ticks_per_minute=6
    )
    timers = SimulatedTimers(START_NS)
    async with driven(timers):
        await run_to_end(settings, bus=bus, book=book, clock=timers, timers=timers)
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))
    assert same_bars((await stored(book))[-60:], file_bars(history, instrument=0))
    ticks = await bus.tail(TICKS, count=1000)
    assert all(entry.body for entry in ticks)
    for before, after in pairwise(ticks):
        assert (after.slice_start_ns or 0) > (before.watermark_ns or 0)


async def test_progress_is_broadcast(history: Path, bus: Bus, book: MemoryBook) -> None:
    listener = bus.listen("md.progress")
    await listener.ready()
    async with downstream(bus):
        await run_to_end(paced(history), bus=bus, book=book)
    heard = json.loads(await anext(aiter(listener)))
    assert heard["bars"] == heard["bars_total"] == 60
    await listener.aclose()


async def test_unsound_history_stores_and_publishes_nothing(tmp_path: Path, bus: Bus, book: MemoryBook) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("ts,open,high,low,close\n2023-11-12 18:15,1,2,0.5,1\n2023-11-12 18:16,1,0.2,0.5,1\n")
    with pytest.raises(InvalidInput, match=r"bars\.csv: row 2 .*high 0\.20 is below low 0\.50"):
        await built(paced(path), bus=bus, book=book)
    assert await contents(bus) == []
    assert list(await instruments_book(book).load()) == []
