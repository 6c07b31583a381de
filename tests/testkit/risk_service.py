"""The risk service on real servers, life after life, and the streams around it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from services.risk.adapters.postgres import PostgresRiskBook
from services.risk.bootstrap import Wired, wire
from services.risk.marks import TICKS_STREAM
from services.risk.messages import INTENTS_STREAM
from services.risk.settings import RiskSettings
from testkit.risk import INSTRUMENTS
from tradebus.bus.port import Bus, Outgoing
from tradebus.bus.redis_bus import RedisBus
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.records import Records
from tradebus.contracts.registry import parse
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import COMMANDS, ORDERS, RISK, SESSIONS, SIGNALS
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.runtime.rendering import message_of
from tradebus.runtime.timers import WallTimers
from tradebus.store.instruments import register_instruments
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.trading.facts import Fact, SignalFact

Said = Message | Fact


def message(said: Said) -> Message:
    return message_of(said, source="test", recorded_ns=said.ts_event_ns) if isinstance(said, Fact) else said


def stream_of(said: Said) -> str:
    """Where its producer publishes it."""
    if isinstance(said, SignalFact):
        return SIGNALS.name
    if isinstance(said, Fact):
        return ORDERS.name
    return SESSIONS.name if said.TYPE.startswith("SESSION_") else COMMANDS.name


class Life:
    """One process life of the service: connections of its own, which a crash does not get to close in order."""

    def __init__(self, wired: Wired, outbox: Outbox, bus: Bus, store: Store) -> None:
        self.wired, self.outbox, self.bus, self.store = wired, outbox, bus, store
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> None:
        self._tasks = [asyncio.create_task(one.run(self._stop)) for one in self.wired.components]

    async def stop(self) -> None:
        """An orderly end."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        await self.close()

    async def crash(self) -> None:
        """Everything is dropped wherever it stands."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.bus.close()
        self.store.pool.terminate()

    async def close(self) -> None:
        await self.wired.consumer.close()
        await self.bus.close()
        await self.store.close()

    def failure(self) -> BaseException | None:
        """What ended one of its parts; None while all run."""
        return next((task.exception() for task in self._tasks if task.done()), None)


class Around:
    """The servers, and the hands of the other services."""

    def __init__(self, *, database_url: str, redis_url: str, namespace: str, bus: Bus, store: Store, state_dir: Path):
        self.database_url, self.redis_url, self.namespace = database_url, redis_url, namespace
        self.bus, self.store, self.state_dir = bus, store, state_dir
        self.lives: list[Life] = []
        self.registry = CollectorRegistry()  # of the newest life

    async def prepare(self) -> None:
        async with self.store.begin() as tx:
            await register_instruments(tx.connection, list(INSTRUMENTS.values()))

    async def life(self, *, paced: bool = False, run: bool = True, **settings: Any) -> Life:
        """A new life of the service, running unless said otherwise."""
        given = RiskSettings(
            database_url=self.database_url, redis_url=self.redis_url, namespace=self.namespace, paced=paced,
            state_dir=self.state_dir, kill_poll_seconds=0.05, **{"look_seconds": 0.2, **settings},
        )  # fmt: skip
        bus = await RedisBus.connect(self.redis_url, namespace=self.namespace)
        store = await Store.connect(self.database_url, namespace=self.namespace, producer="risk-1")
        outbox, clock = Outbox(store, bus), WallClock()
        self.registry = CollectorRegistry()
        wired = wire(
            given, bus=bus, book=PostgresRiskBook(store), publisher=outbox, clock=clock, ids=RandomIds(),
            timers=WallTimers(clock), registry=self.registry,
        )  # fmt: skip
        life = Life(wired, outbox, bus, store)
        self.lives.append(life)
        if run:
            life.run()
        return life

    async def session(self, spec: SessionSpec, *, start: bool = True) -> None:
        """What the gateway does for START_TRADING."""
        await self.store.pool.execute(
            "INSERT INTO sessions (session_id, user_id, status, mode, spec, command_id, created_ns)"
            " VALUES ($1, $1, 'RUNNING', 'paper', $2, 'c', 0)",
            spec.session_id,
            spec.model_dump(mode="json"),
        )
        if start:
            await self.command(StartTrading, spec.session_id, spec=spec)
            await self.until(lambda: self.participants(spec.session_id))

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

    async def only_in_the_book(self, *said: Said) -> None:
        """Committed by its producer and published, for all that producer knows."""
        async with self.store.begin() as tx:
            for one in said:
                tx.emit(stream_of(one), message(one))
        await self.store.pool.execute("DELETE FROM outbox")

    async def taken(self, *intents: Message) -> None:
        """What execution does when it takes an approval."""
        for one in intents:
            kind = "EXIT" if isinstance(one, ExitApproved) else "ENTRY"
            assert isinstance(one, ExitApproved | EntryApproved | EntryReduced)
            await self.store.pool.execute(
                "INSERT INTO intents VALUES ($1, $2, $3, $4, 'TAKEN', $5, '{}')",
                one.intent_id, one.pos_id, one.session_id, kind, one.ts_event_ns,
            )  # fmt: skip

    async def lose_redis(self) -> None:
        """Everything of this namespace is gone from Redis, as after a crash without its file."""
        async with Redis.from_url(self.redis_url) as client:
            keys = [key async for key in client.scan_iter(f"{self.namespace}:*", count=1000)]
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
        rows = await self.store.pool.fetch(
            "SELECT session_id, verdict, rule, pos_id FROM risk_decisions ORDER BY ts_event_ns, event_id"
        )
        return [tuple(row) for row in rows]

    async def state(self, session_id: str = "session-1") -> dict[str, Any]:
        found: dict[str, Any] = await self.store.pool.fetchval(
            "SELECT state FROM risk_state WHERE session_id = $1", session_id
        )
        return found

    async def participants(self, session_id: str) -> Sequence[str]:
        rows = await self.store.pool.fetch("SELECT service FROM session_participants WHERE session_id = $1", session_id)
        return [row["service"] for row in rows]

    async def until(self, question: Callable[[], Awaitable[Any]], *, seconds: float = 20.0) -> Any:
        """The first true answer."""
        give_up_ns = monotonic_ns() + int(seconds * 1e9)
        while not (answer := await question()):
            assert monotonic_ns() < give_up_ns, f"never came; risk: {[life.failure() for life in self.lives]}"
            await asyncio.sleep(0.01)
        return answer

    async def handled(self, *said: Said) -> None:
        """Waits until risk has taken these in."""
        ids = [one.event_id for one in said]

        async def all_in() -> bool:
            count = await self.store.pool.fetchval(
                "SELECT count(*) FROM inbox WHERE consumer = 'risk' AND message_id = ANY($1)", ids
            )
            return bool(count == len(set(ids)))

        await self.until(all_in)
