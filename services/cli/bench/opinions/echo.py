"""The floor of `bench opinions`: a batch of ticks in, its first instant out as a signal would go, and nothing else."""

import asyncio
from collections.abc import Sequence

import numpy as np

from tradebus.bus.port import Bus, Outgoing
from tradebus.config.settings import ServiceSettings
from tradebus.contracts.records import TICK
from tradebus.contracts.streams import MD_TICKS, SIGNALS, key_of
from tradebus.runtime.shell import Component, run_service

ECHO = "echo"


class Echo:
    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def run(self, stop: asyncio.Event) -> None:
        subscription = await self._bus.subscribe([key_of(MD_TICKS)], group=ECHO, consumer=ECHO)
        while not stop.is_set():
            entries = await subscription.read(block_ms=200)
            out = [_first_instant(body) for body in (entry.body for entry in entries) if body]
            await self._bus.publish(out)
            await subscription.ack(entries)
        await subscription.close()
        await self._bus.leave([key_of(MD_TICKS)], group=ECHO)


def _first_instant(body: bytes) -> Outgoing:
    return Outgoing(SIGNALS.name, ECHO, b"%d" % np.frombuffer(body, TICK, count=1)["ts_event_ns"][0])


async def build(settings: ServiceSettings, *, bus: Bus, **_: object) -> Sequence[Component]:
    return [Echo(bus)]


if __name__ == "__main__":
    run_service("floor", ServiceSettings, build, several=True)
