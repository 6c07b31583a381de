"""Both buses behind one harness, and the plain entries their tests send."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import redis
import redis.asyncio

from testkit.waiting import WALL_TIMERS
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.kernel.clock import EventClock
from tradebus.kernel.ids import RandomIds
from tradebus.waiting.timers import WallTimers

ORDERS, SIGNALS, TICKS = "orders.v1", "signals.v1.strategy", "md.ticks.v1"


def numbered(stream: str, numbers: range) -> list[Outgoing]:
    """One entry for each number, with the number as its body."""
    return [Outgoing(stream, "NUMBER", str(number).encode()) for number in numbers]


def bodies(entries: Sequence[Entry]) -> list[int]:
    """The numbers of such entries."""
    return [int(entry.body) for entry in entries]


class Harness(Protocol):
    """Buses on one shared state, which nothing else uses."""

    async def bus(
        self,
        *,
        max_entries: Mapping[str, int] | None = None,
        back_pressure_seconds: float = 60.0,
        silent_seconds: float = 300.0,
        paced: bool = False,
    ) -> Bus: ...

    async def let_idle(self, milliseconds: int) -> None:
        """Time passes for entries that are pending."""
        ...

    async def until_waiting(self) -> None:
        """Returns once a reader or follower of these buses waits for entries."""
        ...

    async def close(self) -> None: ...


class MemoryHarness:
    """Every bus it makes is the same one: memory has no second client."""

    def __init__(self) -> None:
        self._clock = EventClock(1)
        self._bus: MemoryBus | None = None

    async def bus(
        self,
        *,
        max_entries: Mapping[str, int] | None = None,
        back_pressure_seconds: float = 60.0,
        silent_seconds: float = 300.0,
        paced: bool = False,
    ) -> Bus:
        if self._bus is None:
            self._bus = MemoryBus(
                timers=WallTimers(self._clock),
                max_entries=max_entries,
                back_pressure_seconds=back_pressure_seconds,
                silent_seconds=silent_seconds,
                paced=paced,
            )
        return self._bus

    async def let_idle(self, milliseconds: int) -> None:
        self._clock.advance(self._clock.now_ns() + milliseconds * 1_000_000)

    async def until_waiting(self) -> None:
        for _ in range(10):  # what can run has run: nothing in it waits for anything but entries
            await asyncio.sleep(0)

    async def close(self) -> None:
        if self._bus is not None:
            await self._bus.close()


class RedisHarness:
    """Every bus it makes is another client of one namespace."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self.namespace = f"test_bus_{RandomIds().new_id()}"
        self._buses: list[RedisBus] = []

    async def bus(
        self,
        *,
        max_entries: Mapping[str, int] | None = None,
        back_pressure_seconds: float = 60.0,
        silent_seconds: float = 300.0,
        paced: bool = False,
    ) -> Bus:
        made = await RedisBus.connect(
            self._redis_url,
            namespace=self.namespace,
            max_entries=max_entries,
            back_pressure_seconds=back_pressure_seconds,
            silent_seconds=silent_seconds,
            paced=paced,
            timers=WALL_TIMERS,
        )
        self._buses.append(made)
        return made

    async def let_idle(self, milliseconds: int) -> None:
        await asyncio.sleep(milliseconds / 1000)  # the server's own clock measures it

    async def until_waiting(self) -> None:
        await until_blocked(self._redis_url, self.namespace)

    async def close(self) -> None:
        for each in self._buses:
            await each.close()
        with redis.Redis.from_url(self._redis_url) as client:
            for key in list(client.scan_iter(f"{self.namespace}:*", count=1000)):
                client.delete(key)


async def until_blocked(redis_url: str, namespace: str, *, besides: Collection[str] = ()) -> set[str]:
    """Returns once the server says that a client of this namespace waits for entries: the ids of those that do.
    Clients of these ids are not meant: they may be gone, and the server not know it yet."""
    async with asyncio.timeout(30), redis.asyncio.Redis.from_url(redis_url) as client:
        while True:
            found = {
                str(one["id"]) for one in await client.client_list()
                if one["name"] == f"tradebus:{namespace}" and "b" in one["flags"]
            }  # fmt: skip
            if found - set(besides):
                return found
            await asyncio.sleep(0.005)
