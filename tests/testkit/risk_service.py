"""The risk service, life after life, and the streams around it: on real servers or on their twins."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.risk.bootstrap import WiredRisk, wire
from services.risk.market.marks import TICKS_STREAM
from services.risk.messages import INTENTS_STREAM
from services.risk.settings import RiskSettings
from testkit.risk import INSTRUMENTS
from testkit.risk_books import MemoryHands, PostgresHands, RiskHands
from testkit.waiting import WALL_TIMERS
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing
from tradebus.bus.redis.bus import RedisBus
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.market import DataGap, DataRecovered
from tradebus.contracts.records import Records
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.sessions import SessionSpec, SessionStatus, SessionStopped
from tradebus.contracts.streams import COMMANDS, MD_GAPS, ORDERS, RISK, SESSIONS, SIGNALS
from tradebus.kernel.clock import Clock, WallClock, monotonic_ns
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.runtime.rendering import message_of
from tradebus.store.book import Book
from tradebus.store.books import kill_switch_book, session_register
from tradebus.store.books.kill_switch import Switch
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.trading.facts import Fact, SignalFact
from tradebus.waiting.timers import WallTimers

Said = Message | Fact


def message(said: Said) -> Message:
    return message_of(said, source="test", recorded_ns=said.ts_event_ns) if isinstance(said, Fact) else said


def stream_of(said: Said) -> str:
    """Where its producer publishes it."""
    if isinstance(said, SignalFact):
        return SIGNALS.name
    if isinstance(said, Fact):
        return ORDERS.name
    if isinstance(said, DataGap | DataRecovered):
        return MD_GAPS.name
    return SESSIONS.name if said.TYPE.startswith("SESSION_") else COMMANDS.name


class Life:
    """One process life of the service: connections of its own, which a crash does not get to close in order."""

    def __init__(self, wired: WiredRisk, outbox: Outbox, bus: Bus, book: Book, around: "Around") -> None:
        self.wired, self.outbox, self.bus, self._book, self._around = wired, outbox, bus, book, around
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> None:
        self._tasks = [asyncio.create_task(one.run(self._stop)) for one in self.wired.components]

    async def stop(self) -> None:
        """An orderly end."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self._around.close_bus(self.bus)
        await self._book.close()

    async def crash(self) -> None:
        """Everything is dropped wherever it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._around.close_bus(self.bus)
        await self._around.hands.drop(self._book)

    def failure(self) -> BaseException | None:
        """What ended one of its parts; None while all run."""
        return next((task.exception() for task in self._tasks if task.done()), None)


class Around:
    """The servers, and the hands of the other services. `memory` has the twins, `servers` the real ones."""

    def __init__(
        self, hands: RiskHands, *, bus: Bus, state_dir: Path, redis_url: str = "", namespace: str = "",
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.hands, self.book, self.bus, self.state_dir = hands, hands.book, bus, state_dir
        self._redis_url, self._namespace, self._clock = redis_url, namespace, clock or WallClock()
        self.lives: list[Life] = []
        self.registry = CollectorRegistry()  # of the newest life

    @classmethod
    def memory(cls, *, state_dir: Path, paced: bool = False, clock: Clock | None = None) -> "Around":
        bus = MemoryBus(paced=paced, timers=WallTimers(clock or WallClock()))
        return cls(MemoryHands(), bus=bus, state_dir=state_dir, clock=clock)

    @classmethod
    def servers(
        cls, store: Store, bus: Bus, *, database_url: str, redis_url: str, namespace: str, state_dir: Path
    ) -> "Around":
        hands = PostgresHands(store, database_url=database_url, namespace=namespace)
        return cls(hands, bus=bus, state_dir=state_dir, redis_url=redis_url, namespace=namespace)

    async def prepare(self) -> None:
        await self.hands.register(list(INSTRUMENTS.values()))

    async def life(self, *, paced: bool = False, run: bool = True, **settings: Any) -> Life:
        """A new life of the service, running unless said otherwise."""
        given = RiskSettings(
            database_url="postgresql://none", redis_url="redis://none", namespace=self._namespace, paced=paced,
            state_dir=self.state_dir, **{"kill_poll_seconds": 0.05, "look_seconds": 0.2, **settings},
        )  # fmt: skip
        bus = (
            await RedisBus.connect(self._redis_url, namespace=self._namespace, timers=WALL_TIMERS)
            if self._redis_url
            else self.bus
        )
        book, store = await self.hands.life()
        outbox, self.registry = Outbox(store, bus, timers=WALL_TIMERS), CollectorRegistry()
        wired = wire(
            given, bus=bus, book=book, store=store, publisher=outbox, clock=self._clock, ids=RandomIds(),
            timers=WallTimers(self._clock), registry=self.registry,
        )  # fmt: skip
        life = Life(wired, outbox, bus, store, self)
        self.lives.append(life)
        if run:
            life.run()
        return life

    async def close_bus(self, bus: Bus) -> None:
        """A life's connection; the twin is everybody's."""
        if bus is not self.bus:
            await bus.close()

    async def session(self, spec: SessionSpec, *, start: bool = True) -> None:
        """What the gateway does for START_TRADING."""
        register = session_register(self.book)
        async with self.book.begin() as tx:
            await register.insert(tx, spec, command_id=f"c-{spec.session_id}", now_ns=0)
            await register.begin(tx, spec.session_id, SessionStatus.RUNNING)
        if start:
            await self.command(StartTrading, spec.session_id, spec=spec)
            await self.until(lambda: self.hands.participants(spec.session_id))

    async def switch(self, *, engaged: bool, at_ns: int, reason: str = "by hand") -> None:
        """Somebody turns the kill switch, without a command."""
        book = kill_switch_book(self.book)
        async with self.book.begin() as tx:
            await book.engage(tx, reason=reason, at_ns=at_ns)
            if not engaged:
                await book.release(tx, reason=reason, at_ns=at_ns)

    async def switch_stands(self) -> Switch | None:
        return await kill_switch_book(self.book).read()

    async def status(self, session_id: str, status: SessionStatus) -> None:
        async with self.book.begin() as tx:
            await session_register(self.book).set_status(tx, session_id, status)

    async def command(
        self, model: type[Message], session_id: str | None, *, number: int = 1, lost: bool = False, **fields: Any
    ) -> Message:
        """What the gateway does for one; `lost`: it is in the book, and the bus has lost it."""
        command = model(
            event_id=derive_id(number, model.TYPE, session_id or "", number), ts_event_ns=number, ts_recorded_ns=1,
            source="test", trace_id="trace-command", session_id=session_id, **fields,
        )  # fmt: skip
        await self.only_in_the_book(command)
        if not lost:
            await self.bus.publish([Outgoing(COMMANDS.name, model.TYPE, command.to_json())])
        return command

    async def end(self, over: SessionStopped) -> None:
        """What the gateway does once a session is flat; risk has let go of it then."""
        async with self.book.begin() as tx:
            await session_register(self.book).end(
                tx, over.session_id or "", SessionStatus.STOPPED, seen=SessionStatus.RUNNING,
                now_ns=over.ts_event_ns, reason=over.reason,
            )  # fmt: skip
        await self.publish(over)

        async def gone() -> bool:
            return self.registry.get_sample_value("tradebus_risk_sessions") == 1

        await self.until(gone)

    async def only_in_the_book(self, *said: Said) -> None:
        """Committed by its producer and published, for all that producer knows."""
        async with self.book.begin() as tx:
            for one in said:
                tx.emit(stream_of(one), message(one))
        await self.hands.lose_outbox()

    async def taken(self, *intents: Message) -> None:
        """What execution does when it takes an approval."""
        for one in intents:
            assert isinstance(one, ExitApproved | EntryApproved | EntryReduced)
            await self.hands.take(one)

    async def lose_redis(self) -> None:
        """Everything of this namespace is gone from Redis, as after a crash without its file."""
        async with Redis.from_url(self._redis_url) as client:
            keys = [key async for key in client.scan_iter(f"{self._namespace}:*", count=1000)]
            if keys:
                await client.delete(*keys)

    async def publish(self, *said: Said) -> None:
        for one in said:
            await self.bus.publish([Outgoing(stream_of(one), one.TYPE, message(one).to_json())])

    async def tell(self, *said: Said) -> None:
        """One after the other, each taken in before the next is sent: streams have no order among each other."""
        for one in said:
            await self.publish(one)
            await self.handled(one)

    async def slice(self, batch: Records, *, start_ns: int, end_ns: int) -> None:
        """One tick slice [start, end)."""
        await self.bus.publish(
            [Outgoing(TICKS_STREAM, "ticks", batch.tobytes(), watermark_ns=end_ns - 1, slice_start_ns=start_ns)]
        )

    async def watermark(self, stream: str, watermark_ns: int) -> None:
        await self.bus.publish([Outgoing(stream, "watermark", watermark_ns=watermark_ns)])

    async def intents(self) -> list[Message]:
        """Every approval and exit so far, as often as it was published."""
        return [parse(entry.body) for entry in await self.bus.tail(INTENTS_STREAM, count=1000) if entry.body]

    async def refusals(self) -> list[Message]:
        """Every ENTRY_BLOCKED and SESSION_HALTED so far."""
        return [parse(entry.body) for entry in await self.bus.tail(RISK.name, count=1000) if entry.body]

    async def watermarks(self) -> list[int]:
        entries = await self.bus.tail(INTENTS_STREAM, count=1000)
        return [entry.watermark_ns for entry in entries if entry.watermark_ns is not None]

    async def journal(self) -> list[tuple[str, str, str, str | None]]:
        return await self.hands.journal()

    async def state(self, session_id: str = "session-1") -> dict[str, Any]:
        return await self.hands.state(session_id)

    async def until(self, question: Callable[[], Awaitable[Any]], *, seconds: float = 20.0) -> Any:
        """The first true answer."""
        give_up_ns = monotonic_ns() + int(seconds * 1e9)
        while not (answer := await question()):
            assert monotonic_ns() < give_up_ns, f"never came; risk: {[life.failure() for life in self.lives]}"
            await asyncio.sleep(0.01)
        return answer

    async def handled(self, *said: Said) -> None:
        """Waits until risk has taken these in."""
        ids = {one.event_id for one in said}

        async def all_in() -> bool:
            return await self.hands.handled(list(ids)) == len(ids)

        await self.until(all_in)
