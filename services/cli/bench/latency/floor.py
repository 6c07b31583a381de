"""One hop of `bench latency`'s floor: a message in, one row, the message out; where the real service stores before it
passes on, so does the hop."""

import asyncio
from collections.abc import Sequence

from pydantic import Field

from services.cli.bench.ports import order_line
from tradebus.bus.port import Bus, Outgoing
from tradebus.config.settings import ServiceSettings
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component, run_service
from tradebus.store.store import Store

_FEED, _STRATEGY = 0, 1
_PASS_ON_FIRST = (_FEED, _STRATEGY)  # ticks are stored by nobody on their way, a signal with its verdict


class HopSettings(ServiceSettings):
    hop: int = Field(validation_alias="BENCH_HOP")
    broker_port: int = Field(default=0, validation_alias="BENCH_BROKER_PORT")  # the last hop's


class Hop:
    """hop.<n> to hop.<n+1>, or to the broker's socket."""

    def __init__(self, settings: HopSettings, *, bus: Bus, store: Store) -> None:
        self._settings, self._bus, self._store = settings, bus, store

    async def run(self, stop: asyncio.Event) -> None:
        number, port = self._settings.hop, self._settings.broker_port
        writer = (await asyncio.open_connection("127.0.0.1", port))[1] if port else None
        subscription = await self._bus.subscribe([f"hop.{number}"], group="floor", consumer="floor")
        while not stop.is_set():
            for entry in await subscription.read(block_ms=200):
                out = [] if writer else [Outgoing(f"hop.{number + 1}", entry.kind, entry.body)]
                if number in _PASS_ON_FIRST:
                    await self._bus.publish(out)
                    out = []
                if number != _FEED:
                    await self._store.alone(
                        "INSERT INTO inbox (consumer, message_id) VALUES ($1, $2)", f"hop{number}", entry.kind
                    )
                if writer is not None:
                    writer.write(order_line(tag=entry.kind, at_ns=int(entry.body)))
                await subscription.publish_and_ack(out, [entry])


async def build(
    settings: HopSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, **_: object
) -> Sequence[Component]:
    return [Hop(settings, bus=bus, store=store)]


if __name__ == "__main__":
    run_service("floor", HopSettings, build, several=True)
