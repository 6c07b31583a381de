"""Execution, life after life, and what its neighbours send it: on real servers or on their twins."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

from services.execution.bootstrap import assemble
from services.execution.service import ExecutionService
from services.execution.settings import ExecutionSettings
from testkit.execution_books import ExecutionHands, MemoryHands, PostgresHands
from testkit.fake_broker import FakeBroker, opening
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.timers import Timers
from tradebus.store.book import Book
from tradebus.store.store import Store
from tradebus.waiting.timers import WallTimers

T = TypeVar("T")


class Life:
    """One process life of the service. A context: it ends in order, unless `kill` came first."""

    def __init__(self, service: ExecutionService, *, book: Book, bus: Bus, close_bus: bool) -> None:
        self.service, self.book, self.bus, self._close_bus = service, book, bus, close_bus
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(service.run(self._stop))

    async def __aenter__(self) -> "Life":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.wait([self._task], timeout=5)
        failure = self._task.exception() if self._task.done() and not self._task.cancelled() else None
        await self.kill()
        await self.book.close()
        if self._close_bus:
            await self.bus.close()
        if failure is not None:
            raise failure

    async def kill(self) -> None:
        """It is dropped wherever it stands."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def raise_where_ended(self) -> None:
        if self._task.done():
            self._task.result()
            raise AssertionError("execution ended")


class Around:
    """The servers, and the hands of the other services. `memory` has the twins, `servers` the real ones."""

    def __init__(
        self, hands: ExecutionHands, *, bus: Bus, state_dir: Path, redis_url: str = "", namespace: str = "",
        clock: Clock | None = None, timers: Timers = WALL_TIMERS,
    ) -> None:  # fmt: skip
        self.hands, self.book, self.bus, self._state_dir = hands, hands.book, bus, state_dir
        self._redis_url, self._namespace = redis_url, namespace
        self._clock, self._timers = clock or WallClock(), timers

    @classmethod
    def memory(cls, *, state_dir: Path, paced: bool = False, clock: Clock | None = None) -> "Around":
        timers = WALL_TIMERS if clock is None else WallTimers(clock)
        return cls(
            MemoryHands(), bus=MemoryBus(paced=paced, timers=timers), state_dir=state_dir, clock=clock, timers=timers
        )

    @classmethod
    def servers(
        cls, store: Store, bus: Bus, *, database_url: str, redis_url: str, namespace: str, state_dir: Path
    ) -> "Around":
        hands = PostgresHands(store, database_url=database_url, namespace=namespace)
        return cls(hands, bus=bus, state_dir=state_dir, redis_url=redis_url, namespace=namespace)

    def log_in(self, name: str, broker: FakeBroker) -> None:
        """Stores a login."""
        Credentials(self._state_dir).put(name, Credential(broker.name, broker.client_id, access_token="tok"))

    async def life(
        self, *brokers: FakeBroker, instance: str = "1", paced: bool = False,
        paper: Callable[..., PaperGateway] = PaperGateway, timers: Timers | None = None, **settings: Any,
    ) -> Life:  # fmt: skip
        """A new life of the service, running."""
        for broker in brokers:
            self.log_in(broker.name, broker)
        given = {
            "EXECUTION_HOUSEKEEPING_SECONDS": 0.1, "EXECUTION_ORPHAN_SECONDS": 1.0, "EXECUTION_LIVES_MAX": 1_000,
            "EXECUTION_LOOK_SECONDS": 0.1, **settings,
        }  # fmt: skip
        wanted = ExecutionSettings(
            DATABASE_URL="postgresql://none", REDIS_URL="redis://none", TRADEBUS_NAMESPACE=self._namespace,
            TRADEBUS_INSTANCE=instance, TRADEBUS_PACED=paced, TRADEBUS_STATE_DIR=self._state_dir,
            TRADEBUS_KITE_URL="http://127.0.0.1:1", TRADEBUS_DHAN_URL="http://127.0.0.1:2", **given,
        )  # fmt: skip
        bus = (
            await RedisBus.connect(self._redis_url, namespace=self._namespace, timers=WALL_TIMERS)
            if self._redis_url
            else self.bus
        )
        books, paper_book = await self.hands.life(instance)
        service = assemble(
            wanted, bus=bus, book=books.book, paper_book=paper_book, clock=self._clock, open_paper=paper,
            log_of=unrecorded, open_broker=opening(*brokers), registry=CollectorRegistry(),
            timers=timers or self._timers,
        )  # fmt: skip
        return Life(service, book=books.book, bus=bus, close_bus=bus is not self.bus)

    async def publish(self, *outgoing: Outgoing) -> None:
        await self.bus.publish(outgoing)

    async def told(self, kind: str) -> list[Message]:
        """What execution has said of one type, in order."""
        entries = await self.bus.tail(ORDERS.name, count=10_000)
        return [one for one in (parse(entry.body) for entry in entries if entry.body) if kind == one.TYPE]


async def until(question: Callable[[], Awaitable[T]], *lives: Life, seconds: float = 20) -> T:
    """The first true answer. Fails where a life ends meanwhile: an upper bound, no measurement."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):
            for life in lives:
                life.raise_where_ended()
            await asyncio.sleep(0.005)
        return answer
