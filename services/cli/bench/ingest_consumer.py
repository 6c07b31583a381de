"""The other end of `bench ingest`: reads md.ticks, builds candles, stores them. `floor` reads and does nothing."""

import asyncio
import json
import sys

import redis

from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.streams import MD_TICKS, key_of
from tradebus.indicators.candles import CandleBuilder
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.store.candles import upsert_candles
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

INSTRUMENTS = 1_000
FIRST_NS = 28_411_905 * 60 * NANOSECONDS_PER_SECOND  # 09:15 in India on some trading day
_READ_ENTRIES = 64


def main() -> None:
    """`python -m services.cli.bench.ingest_consumer candles|floor TICKS`, with the URLs as one JSON line on stdin."""
    mode, ticks = sys.argv[1], int(sys.argv[2])
    database_url, redis_url, namespace = json.loads(sys.stdin.readline())
    if mode == "floor":
        candles = _floor(redis_url, f"{namespace}:{key_of(MD_TICKS)}", ticks * TICK.itemsize)
    else:
        candles = asyncio.run(_candles(database_url, redis_url, namespace, ticks))
    _say({"done_ns": monotonic_ns(), "candles": candles})


def _say(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _floor(redis_url: str, stream: str, size: int) -> int:
    """Raw Redis: takes the same bytes off the same stream."""
    _say("ready")
    after: bytes | str = "0"
    with redis.Redis.from_url(redis_url) as raw:
        while size > 0:
            for _, entries in raw.xread({stream: after}, count=_READ_ENTRIES, block=5_000) or ():
                after = entries[-1][0]
                size -= sum(len(fields[b"b"]) for _, fields in entries)
    return 0


async def _candles(database_url: str, redis_url: str, namespace: str, left: int) -> int:
    bus = await RedisBus.connect(redis_url, namespace=namespace, timers=wall_timers())
    store = await Store.connect(database_url, namespace=namespace, producer="bench-2", timers=wall_timers())
    subscription = await bus.subscribe([key_of(MD_TICKS)], group="bench", consumer="bench")
    builder = CandleBuilder(INSTRUMENTS, start_ns=FIRST_NS)
    builder.begin_day(FIRST_NS)
    stored = 0
    _say("ready")
    while left > 0:
        entries = await subscription.read(block_ms=5_000, count=_READ_ENTRIES)
        for entry in entries:
            ticks = decode(entry.body, TICK)
            closed = builder.close_until(int(ticks["ts_event_ns"][0]))
            if len(closed):
                await upsert_candles(store.pool, closed)
                stored += len(closed)
            builder.apply(ticks)
            left -= len(ticks)
        await subscription.ack(entries)
    closed = builder.close_until(builder.clock_ns + 60 * NANOSECONDS_PER_SECOND)
    await upsert_candles(store.pool, closed)
    await store.close()
    await bus.close()
    return stored + len(closed)


if __name__ == "__main__":
    main()
