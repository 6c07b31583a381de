"""The load of `bench latency`: frames at a fixed rate, a broker that notes when each order request arrives."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import numpy as np

from services.cli.bench.ports import FRAME_HEADER_BYTES, BenchClock
from tradebus.bus.port import Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.records import TICK
from tradebus.kernel.errors import Unavailable

INSTRUMENTS = 600
TICKS_PER_SECOND = 5_000
FRAMES_PER_SECOND = 250
ORDERS_PER_SECOND = 25
WARMUP_SECONDS = 5
WARMUP_ORDERS = 100  # not counted: caches, plans and connections warm up
DURATION_SECONDS = WARMUP_SECONDS + INSTRUMENTS // ORDERS_PER_SECOND
_LAST_ORDER_SECONDS = 5.0


class InstantBroker:
    """Answers every line at once; `latencies_ns` is arrival less the tick's event time."""

    def __init__(self, clock: BenchClock) -> None:
        self._clock = clock
        self.latencies_ns: list[int] = []

    async def listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            arrived_ns = self._clock.now_ns()
            self.latencies_ns.append(arrived_ns - json.loads(line)["at_ns"])
            writer.write(b"B%d\n" % len(self.latencies_ns))
        writer.close()

    async def received(self, count: int) -> list[int]:
        """The latencies once all have come. Raises Unavailable where some stay away."""
        try:
            async with asyncio.timeout(_LAST_ORDER_SECONDS):
                while len(self.latencies_ns) < count:  # noqa: ASYNC110 - a broker is asked now and then, once a run
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise Unavailable(f"bench: {len(self.latencies_ns)} of {count} orders reached the broker") from None
        return self.latencies_ns[WARMUP_ORDERS:]


async def drive(
    begin: Callable[[], Awaitable[None]], *, clock: BenchClock, broker_port: int, frames_port: int, level_paise: int
) -> list[int]:
    """Feeds frames; each of the instruments crosses the level once. Returns latencies in ns."""
    broker = InstantBroker(clock)
    connected: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
    feeding = await asyncio.start_server(lambda _, writer: connected.set_result(writer), "127.0.0.1", frames_port)
    async with await broker.listen(broker_port), feeding:
        await begin()
        await _feed(await connected, level_paise)
        return await broker.received(INSTRUMENTS)


async def _feed(writer: asyncio.StreamWriter, level_paise: int) -> None:
    per_frame = TICKS_PER_SECOND // FRAMES_PER_SECOND
    ticks = np.zeros(per_frame, TICK)
    prices = np.full(INSTRUMENTS, level_paise - 50, np.int64)
    loop = asyncio.get_running_loop()
    started, cursor, crossed = loop.time(), 0, 0
    for number in range(DURATION_SECONDS * FRAMES_PER_SECOND):
        await asyncio.sleep(max(0.0, started + number / FRAMES_PER_SECOND - loop.time()))
        instruments = np.arange(cursor, cursor + per_frame) % INSTRUMENTS
        cursor += per_frame
        due = (number - WARMUP_SECONDS * FRAMES_PER_SECOND) * ORDERS_PER_SECOND // FRAMES_PER_SECOND
        if crossed < min(due, INSTRUMENTS):
            instruments[0] = crossed  # the next instrument crosses in this frame
            prices[crossed] = level_paise + 10
            crossed += 1
        ticks["instrument"] = instruments
        ticks["price_paise"] = prices[instruments]
        body = ticks.tobytes()
        writer.write(len(body).to_bytes(FRAME_HEADER_BYTES, "big") + body)
    while crossed < INSTRUMENTS:  # rounding left some
        ticks["instrument"], ticks["price_paise"] = crossed, level_paise + 10
        writer.write((TICK.itemsize).to_bytes(FRAME_HEADER_BYTES, "big") + ticks[:1].tobytes())
        crossed += 1
        await asyncio.sleep(1 / ORDERS_PER_SECOND)
    await writer.drain()


async def drive_floor(
    begin: Callable[[], Awaitable[None]], *, bus: RedisBus, clock: BenchClock, broker_port: int
) -> list[int]:
    """The same number of messages at the same rate through hops that do nothing."""
    broker = InstantBroker(clock)
    async with await broker.listen(broker_port):
        await begin()
        for number in range(INSTRUMENTS):
            await bus.publish([Outgoing("hop.0", str(number), b"%d" % clock.now_ns())])
            await asyncio.sleep(1 / ORDERS_PER_SECOND)
        return await broker.received(INSTRUMENTS)
