"""`bench latency`'s market data process: frames from a socket to md.ticks, candles and Postgres, free-running."""

import asyncio
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from services.cli.bench.ports import FRAME_HEADER_BYTES, BenchClock
from tradebus.bus.port import Bus, Outgoing
from tradebus.config.settings import ServiceSettings
from tradebus.contracts.records import TICK, decode
from tradebus.contracts.streams import MD_CANDLES, MD_TICKS, key_of
from tradebus.indicators.candles import CandleBuilder
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component, run_service
from tradebus.store.candles import upsert_candles
from tradebus.store.store import Store


class FeedSettings(ServiceSettings):
    frames_port: int = Field(validation_alias="BENCH_FRAMES_PORT")
    offset_ns: int = Field(validation_alias="BENCH_OFFSET_NS")
    instruments: int = Field(validation_alias="BENCH_INSTRUMENTS")


class FrameFeed:
    """Reads frames and publishes each at once: one frame, one batch."""

    def __init__(self, settings: FeedSettings, *, bus: Bus, store: Store) -> None:
        self._settings, self._bus, self._store = settings, bus, store
        self._clock = BenchClock(settings.offset_ns)
        self._builder = CandleBuilder(settings.instruments, start_ns=self._clock.now_ns())

    async def run(self, stop: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._settings.frames_port)
        stopping = asyncio.create_task(stop.wait())
        feeding = asyncio.create_task(self._feed(reader))
        await asyncio.wait({stopping, feeding}, return_when=asyncio.FIRST_COMPLETED)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        writer.close()
        await stopping

    async def _feed(self, reader: asyncio.StreamReader) -> None:
        while True:
            size = int.from_bytes(await reader.readexactly(FRAME_HEADER_BYTES), "big")
            frame = await reader.readexactly(size)
            received_ns = self._clock.now_ns()
            ticks = decode(frame, TICK).copy()
            ticks["ts_event_ns"] = ticks["ts_received_ns"] = received_ns
            closed = self._builder.close_until(received_ns)
            self._builder.apply(ticks)
            entries = [Outgoing(key_of(MD_TICKS), "ticks", ticks.tobytes(), received_ns - 1, received_ns)]
            if len(closed):
                entries.append(
                    Outgoing(key_of(MD_CANDLES), "candles", np.ascontiguousarray(closed).tobytes(), received_ns)
                )
                await upsert_candles(self._store.pool, closed)
            await self._bus.publish(entries)


async def build(
    settings: FeedSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, **_: object
) -> Sequence[Component]:
    return [FrameFeed(settings, bus=bus, store=store)]


if __name__ == "__main__":
    run_service("market_data", FeedSettings, build)
