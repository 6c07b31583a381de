"""`tradebus bench ingest`: ticks a second from a broker's frame through Redis and candles into Postgres.

    this process: frames ─► record batches ─► md.ticks          child: md.ticks ─► candles ─► Postgres (durable)

The clock starts before the first frame and stops when the last candle is committed. Floors, in the same run: the same
bytes through raw Redis with nothing done to them, and one XADD per tick.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import redis

from services.cli.bench.ingest_consumer import FIRST_NS, INSTRUMENTS
from services.cli.bench.instruments import register
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.records import TICK, Records, decode
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.embedded import EmbeddedServers, ServerUrls
from tradebus.store.migrate import migrate
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

SECONDS = 2_000  # of event time; one tick per instrument and second
FRAME_TICKS = 500
BATCH_FRAMES = 4  # what has arrived since the last turn, at full speed
PIPELINED = 8  # entries of the floor in one round trip
SINGLE_TICKS = 20_000
NAMESPACE = "bench_ingest"


def measure() -> dict[str, Any]:
    """Figures by name; `ticks_per_second` is the one the budget is about."""
    with tempfile.TemporaryDirectory(prefix="tradebus-bench-") as folder, EmbeddedServers(Path(folder)) as servers:
        urls = servers.for_services
        migrate(urls.database_url, namespace=NAMESPACE)
        frames = make_frames()
        ticks = len(frames) * FRAME_TICKS
        single = _one_xadd_per_tick(urls, frames)
        floor = asyncio.run(_run(urls, frames, mode="floor"))
        whole = asyncio.run(_run(urls, frames, mode="candles"))
    return {
        "ticks": ticks,
        "candles_in_postgres": whole["candles"],
        "ticks_per_second": ticks / whole["seconds"],
        "floor_raw_redis_ticks_per_second": ticks / floor["seconds"],
        "share_of_floor": floor["seconds"] / whole["seconds"],
        "one_xadd_per_tick_ticks_per_second": single,
        "ratio_to_one_xadd_per_tick": ticks / whole["seconds"] / single,
    }


def make_frames() -> list[bytes]:
    """Frames as a feed hands them over: FRAME_TICKS ticks of as many instruments at one second."""
    base = np.zeros(INSTRUMENTS, TICK)
    base["instrument"] = np.arange(INSTRUMENTS)
    walk = np.random.default_rng(1).integers(-2, 3, (SECONDS, INSTRUMENTS)).cumsum(axis=0) * 5 + 100_000
    frames = []
    for second in range(SECONDS):
        base["ts_event_ns"] = base["ts_received_ns"] = FIRST_NS + second * NANOSECONDS_PER_SECOND
        base["price_paise"] = walk[second]
        base["volume_cumulative"] = (second + 1) * 25
        body = base.tobytes()
        size = FRAME_TICKS * TICK.itemsize
        frames += [body[start : start + size] for start in range(0, len(body), size)]
    return frames


async def _run(urls: ServerUrls, frames: list[bytes], *, mode: str) -> dict[str, float]:
    """One pass; the child says when it was done."""
    stream = f"{NAMESPACE}:{key_of(MD_TICKS)}"
    with redis.Redis.from_url(urls.redis_url) as raw:
        raw.delete(stream)
    if mode == "candles":
        await _register(urls)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli.bench.ingest_consumer", mode, str(len(frames) * FRAME_TICKS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    # The URLs hold passwords: not on a command line.
    child.stdin.write(json.dumps([urls.database_url, urls.redis_url, NAMESPACE]).encode() + b"\n")
    await child.stdin.drain()
    await child.stdout.readline()  # ready
    started_ns = monotonic_ns()
    if mode == "floor":
        await asyncio.to_thread(_publish_raw, urls, stream, frames)
    else:
        await _publish(urls, frames)
    done = json.loads(await child.stdout.readline())
    await child.wait()
    return {"seconds": (done["done_ns"] - started_ns) / 1e9, "candles": done["candles"]}


async def _register(urls: ServerUrls) -> None:
    store = await Store.connect(urls.database_url, namespace=NAMESPACE, producer="bench-1", timers=wall_timers())
    await register(store, count=INSTRUMENTS)
    await store.close()


async def _publish(urls: ServerUrls, frames: list[bytes]) -> None:
    bus = await RedisBus.connect(urls.redis_url, namespace=NAMESPACE, timers=wall_timers())
    stream = key_of(MD_TICKS)
    for start in range(0, len(frames), BATCH_FRAMES):
        batch = b"".join(frames[start : start + BATCH_FRAMES])
        ticks: Records = decode(batch, TICK)
        end_ns = int(ticks["ts_event_ns"][-1])
        await bus.publish([Outgoing(stream, "ticks", batch, watermark_ns=end_ns - 1, slice_start_ns=0)])
    await bus.close()


def _publish_raw(urls: ServerUrls, stream: str, frames: list[bytes]) -> None:
    with redis.Redis.from_url(urls.redis_url) as raw:
        for start in range(0, len(frames), BATCH_FRAMES * PIPELINED):
            with raw.pipeline(transaction=False) as pipeline:
                for at in range(start, min(len(frames), start + BATCH_FRAMES * PIPELINED), BATCH_FRAMES):
                    pipeline.xadd(stream, {"b": b"".join(frames[at : at + BATCH_FRAMES])})
                pipeline.execute()


def _one_xadd_per_tick(urls: ServerUrls, frames: list[bytes]) -> float:
    size = TICK.itemsize
    ticks = [
        frame[at : at + size] for frame in frames[: SINGLE_TICKS // FRAME_TICKS] for at in range(0, len(frame), size)
    ]
    with redis.Redis.from_url(urls.redis_url) as raw:
        started_ns = monotonic_ns()
        for tick in ticks:
            raw.xadd(f"{NAMESPACE}:single", {"b": tick})
        took_ns = monotonic_ns() - started_ns
        raw.delete(f"{NAMESPACE}:single")
    return len(ticks) / (took_ns / 1e9)
