"""The real processes: kill -9 at any moment, one line for bad input, a clean stop."""

import asyncio
import os
import socket
import sys
from contextlib import suppress
from datetime import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from testkit.feeds import MUHURAT, contents, ended, minute_bars, write_bars

from services.market_data.feeds.bus_sink import CANDLES
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.streams import ORDERS
from tradebus.history.loading import load_history
from tradebus.kernel.rng import uniform
from tradebus.store.store import Store

ROOT = Path(__file__).parents[3]


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return write_bars(tmp_path / "bars.parquet", (MUHURAT, time(18, 15), 60))


def environment(redis_url: str, database_url: str, namespace: str, **given: str) -> dict[str, str]:
    own = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "TRADEBUS_NAMESPACE": namespace}
    return {**os.environ, **own, **given}


def feed_environment(redis_url: str, database_url: str, namespace: str, history: Path) -> dict[str, str]:
    return environment(
        redis_url, database_url, namespace, TRADEBUS_FEED="history", TRADEBUS_HISTORY=str(history),
        TRADEBUS_SYMBOLS="NIFTY", TRADEBUS_SPEED="max", TRADEBUS_PACED="1", TRADEBUS_START_IMMEDIATELY="1",
        TRADEBUS_TICKS_PER_MINUTE="6",
    )  # fmt: skip


async def start(module: str, env: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, env=env, stderr=asyncio.subprocess.PIPE
    )


async def slow_downstream(bus: Bus, stop: asyncio.Event) -> None:
    """Keeps up, but leaves time to be killed in."""
    after = {CANDLES: "0"}
    while not stop.is_set():
        for entry in await bus.follow([CANDLES], after=after, block_ms=50):
            after[CANDLES] = entry.entry_id
            await asyncio.sleep(0.02)
            await bus.publish([Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)])


async def test_process_killed_at_any_moment_leaves_no_trace_in_the_streams(
    history: Path, redis_url: str, database_url: str, migrated: str, bus: Bus, store: Store
) -> None:
    stop = asyncio.Event()
    behind = asyncio.create_task(slow_downstream(bus, stop))
    env = feed_environment(redis_url, database_url, migrated, history)
    loaded = load_history(history, symbols=["NIFTY"], from_date=None, to_date=None)
    identity = HistoryFeed(loaded, ticks_per_minute=6, seed=1).identity
    process = await start("services.market_data.main", env)
    try:
        for kill in range(3):
            published = len(await bus.tail(CANDLES, count=1000))
            target = published + 2 + int(12 * uniform(11, kill))
            while len(await bus.tail(CANDLES, count=1000)) < target:
                assert process.returncode is None
                await asyncio.sleep(0.01 * uniform(12, kill))
            process.kill()
            await process.wait()
            process = await start("services.market_data.main", env)
        while not await ended(bus, store, identity=identity):
            assert process.returncode is None
            await asyncio.sleep(0.05)
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        stop.set()
        await behind
    entries = [entry for entry in await bus.tail(CANDLES, count=1000) if entry.kind == "candles"]
    assert len(entries) == 61
    assert [entry.slice_start_ns for entry in entries[1:]] == [entry.watermark_ns for entry in entries[:-1]]
    bars = minute_bars(await contents(bus))
    assert np.array_equal(bars["ts_open_ns"], loaded.columns.ts_ns)
    assert np.array_equal(bars["close_paise"], np.rint(loaded.columns.values["close"] * 100).astype(np.int64))
    assert await store.pool.fetchval("SELECT count(*) FROM candles_1m") == 60


async def test_unsound_file_ends_the_process_with_one_line(
    tmp_path: Path, redis_url: str, database_url: str, migrated: str
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("ts,open,high,low,close\n2023-11-12 18:15,1,2,0.5,1\n2023-11-12 18:15,1,2,0.5,1\n")
    process = await start("services.market_data.main", feed_environment(redis_url, database_url, migrated, path))
    _, errors = await process.communicate()
    assert process.returncode == 2
    last = errors.decode().strip().splitlines()[-1]
    assert last.startswith(f"market_data: {path}: row 2 (NIFTY 2023-11-12 18:15:00): ts is a duplicate")
    assert "Traceback" not in errors.decode()


async def test_api_process_listens_answers_and_stops(redis_url: str, database_url: str, migrated: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = environment(redis_url, database_url, migrated, MDS_PORT=str(port))
    process = await start("services.market_data.api_main", env)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v1") as client:
            answer = None
            while answer is None:
                assert process.returncode is None
                with suppress(httpx.ConnectError):
                    answer = await client.get("/health")
                await asyncio.sleep(0.05)
            assert answer.json()["status"] == "ok"
            assert (await client.get("/quote?symbol=NIFTY")).status_code == 404
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            process.kill()
