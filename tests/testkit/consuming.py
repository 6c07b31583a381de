"""A consumer around a handler whose answers a test writes down."""

import asyncio
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry

from testkit.waiting import WALL_TIMERS
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.kernel.timers import SimulatedTimers, Timers
from tradebus.runtime.consumer import DONE, Answer, BusPublisher, Consumer, ConsumerMetrics, Policy, Publisher
from tradebus.runtime.merge import Gate, MergedInput

IN, OUT, OTHER = "orders.v1", "signals.v1.strategy", "commands.v1"
# Pauses are real ones here, and short.
QUICK = Policy(first_delay_seconds=0.001, last_delay_seconds=0.002)


class ScriptedHandler:
    """Answers as `script` does, DONE without one; keeps what it was asked and what it stored."""

    def __init__(self, script: Callable[[Entry], Answer] | None = None) -> None:
        self._script = script or (lambda _: DONE)
        self.handled: list[str] = []
        self.held: list[str] = []  # in memory since the last commit
        self.stored: list[str] = []
        self.recoveries = 0
        self.refuses: set[str] = set()  # bodies that cannot be stored
        self.may_store = asyncio.Event()  # a commit waits for it
        self.may_store.set()
        self.stores = 0  # commits that have begun

    async def handle(self, entry: Entry) -> Answer:
        body = entry.body.decode()
        self.handled.append(body)
        answer = self._script(entry)
        self.held.append(body)
        return answer

    async def recover(self) -> None:
        self.recoveries += 1
        self.held = []

    async def commit(self) -> bool:
        held, self.held = self.held, []
        self.stores += 1
        await self.may_store.wait()
        if self.refuses & set(held):
            self.held[:0] = held
            raise RuntimeError("value too long for the column")
        self.stored += held
        return True


class Bench:
    """A bus in memory and the consumers on it. Every consumer is a new life of the same one."""

    def __init__(self, bus: Bus | None = None) -> None:
        self.bus = bus or MemoryBus(timers=WALL_TIMERS)
        self.registry = CollectorRegistry()
        self.metrics = ConsumerMetrics(self.registry)

    def consumer(
        self,
        handler: ScriptedHandler,
        *,
        streams: Sequence[str] = (IN,),
        gates: Sequence[Gate] = (),
        paced: bool = False,
        owed: Callable[[Entry], Sequence[Outgoing]] | None = None,
        policy: Policy = QUICK,
        publisher: Publisher | None = None,
        timers: Timers | None = None,
        name: str = "c",
        turn: asyncio.Lock | None = None,
        coalesce: bool = False,
    ) -> Consumer:
        async def open_input() -> MergedInput:
            subscription = await self.bus.subscribe(streams, group="g", consumer=name)
            return MergedInput(subscription, bus=self.bus, gates=gates, paced=paced)

        return Consumer(
            name, open_input=open_input, handler=handler, publisher=publisher or BusPublisher(self.bus),
            timers=timers or WALL_TIMERS, metrics=self.metrics, paced=paced, owed=owed, policy=policy,
            turn=turn, coalesce=coalesce,
        )  # fmt: skip

    async def send(self, *bodies: str, stream: str = IN, watermark_ns: int | None = None) -> None:
        await self.bus.publish([Outgoing(stream, "TEXT", body.encode(), watermark_ns) for body in bodies])

    async def bodies(self, stream: str) -> list[str]:
        return [entry.body.decode() for entry in await self.bus.tail(stream, count=1000)]

    async def left(self, stream: str = IN) -> int:
        """Entries of the stream that the group has not acknowledged."""
        return sum(group.unacknowledged for group in await self.bus.groups(stream) if group.name == "g")

    async def dead(self, stream: str = IN) -> dict[str, str]:
        """Reasons of the dead letters, by body."""
        letters = await self.bus.dead_letters(stream, count=100)
        return {letter.entry.body.decode(): letter.reason for letter in letters}

    def counted(self, what: str, stream: str = IN) -> float:
        found = self.registry.get_sample_value(f"tradebus_consumer_{what}_total", {"consumer": "c", "stream": stream})
        return found or 0.0


async def drained(consumer: Consumer, *, turns: int = 200) -> None:
    """Turns until one finds nothing."""
    for _ in range(turns):
        if not await consumer.turn(block_ms=0):
            return
    raise AssertionError("there is always something to handle")


async def moved(timers: SimulatedTimers, task: "asyncio.Task[object]", *, seconds: float = 10.0) -> None:
    """Lets a task that waits by simulated timers go on until it is done."""
    for _ in range(1000):
        for _ in range(20):
            await asyncio.sleep(0)
        if task.done():
            return
        timers.advance(timers.now_ns() + round(seconds * 1e9))
    raise AssertionError("it does not end")
