"""Market data wired to real Redis and Postgres, end to end; what it does is tried on the twins (tests/unit)."""

import asyncio
from datetime import time
from pathlib import Path

import httpx
import pytest
from testkit.fake_broker import FakeBroker, minute_candles
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
    stored,
    write_bars,
)
from testkit.live_feed import DAY, SECOND, TEN, entries, running, ticked, told
from testkit.waiting import WALL_TIMERS

from services.market_data.feeds.bus_sink import CANDLES, TICKS
from services.market_data.http.bootstrap import wire_api
from tradebus.bus.port import Bus
from tradebus.contracts.records import TICK
from tradebus.kernel.errors import Unavailable
from tradebus.store.books import candles_book, feeds_book, instruments_book, listings_book
from tradebus.store.store import Store


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """One hour of Muhurat trading, and 50 bars of the afternoon two days before it."""
    return write_bars(tmp_path / "bars.parquet", (DAY_BEFORE, time(14, 40), 50), (MUHURAT, time(18, 15), 60))


async def test_a_recorded_day_is_published_stored_and_served(history: Path, bus: Bus, store: Store) -> None:
    async with downstream(bus):
        await run_to_end(paced(history, warmup_minutes=20), bus=bus, book=store)
    bars = file_bars(history, instrument=0)
    assert same_bars(minute_bars(await contents(bus)), bars)
    kept = await stored(store)
    assert same_bars(kept[-60:], bars)
    assert same_bars(kept[:-60], file_bars(history, instrument=0, day=DAY_BEFORE)[-20:])
    tail, app = await wire_api(bus=bus, book=store, timers=WALL_TIMERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mds/v1") as client:
        candles = (await client.get("/candles/last?symbol=NIFTY&limit=60")).json()["candles"]
        assert [round(candle["close"] * 100) for candle in candles] == bars["close_paise"].tolist()
        assert (await client.get("/quote?symbol=NIFTY")).json()["source"] == "tick"
        feed = (await client.get("/health")).json()["feed"]
        assert (feed["status"]["state"], feed["status"]["bars"]) == ("finished", 60)
        store.pool.terminate()
        for path in ("/candles/last?symbol=NIFTY&limit=4", "/health", "/instruments", "/option_chain?symbol=NIFTY"):
            await tail.read(block_ms=1)
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["detail"].startswith("Postgres does not answer (")


async def test_a_feed_whose_right_is_lost_ends_in_one_line_and_goes_on_in_its_next_life(
    history: Path, bus: Bus, store: Store, database_url: str, migrated: str
) -> None:
    feeder = await built(paced(history), bus=bus, book=store)
    running_feed = asyncio.create_task(feeder.run(asyncio.Event()))
    await bus.follow([CANDLES], after={CANDLES: "0"}, block_ms=10_000)
    other = await Store.connect(database_url, namespace=migrated, producer=f"other-{migrated}", timers=WALL_TIMERS)
    await other.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND application_name = $1"
        " AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)",
        store.producer,
    )
    async with downstream(bus), asyncio.timeout(30):
        with pytest.raises(Unavailable, match=r"Postgres.*start"):
            await running_feed
        await run_to_end(paced(history), bus=bus, book=other)
    await other.close()
    assert same_bars(minute_bars(await contents(bus)), file_bars(history, instrument=0))


async def test_a_brokers_day_is_registered_published_and_stored_and_its_gap_is_filled(
    tmp_path: Path, bus: Bus, store: Store
) -> None:
    broker = FakeBroker()
    broker.candles["NIFTY26NOVFUT"] = minute_candles(TEN, [2_700_000] * 60)
    broker.candles["RELIANCE"] = minute_candles(TEN, [140_000] * 60)
    async with running(broker, tmp_path, bus, store, timers=WALL_TIMERS, feed_silent_seconds=1.0) as live:
        await live.quote(0, [1, 2], [2_600_000, 2_600_500])
        await ticked(bus)
        (gap, *_) = await told(bus, "DATA_GAP")
        await live.quote(0, [(live.now_ns - TEN) / SECOND], [2_600_500])
        await live.quote(1, [(live.now_ns - TEN) / SECOND], [140_500])
        (filled, *_) = await told(bus, "DATA_RECOVERED")
        kept = await candles_book(store).read(instrument=0, from_ns=TEN, to_ns=TEN + 60 * SECOND)
    assert (await entries(bus, TICKS, TICK))["price_paise"].tolist()[:2] == [2_600_000, 2_600_500]
    assert (gap.broker, filled.broker) == ("kite", "kite")
    assert kept["close_paise"].tolist() == [2_700_000]
    assert [one.symbol for one in await instruments_book(store).load()] == ["NIFTY26NOVFUT", "RELIANCE"]
    assert [row.token for row in await listings_book(store).listed("kite", listed_on=DAY)] == ["501", "738561"]
    row = await feeds_book(store).read()
    assert row is not None
    assert (row.identity, row.spec["broker"], row.spec["chains"]) == ("live-kite", "kite", ["NIFTY"])
