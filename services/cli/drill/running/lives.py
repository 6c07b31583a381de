"""The services that are drilled, life after life: each a process of its own, wired as the service wires itself.

spawned ─► killed, or ended by itself ─► some seconds later: the next life, on the same book and bus
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.cli.drill.exchange.desk import DeskDoor
from services.cli.drill.exchange.network import BrokerNetwork
from services.cli.drill.running.story import DrillStory
from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.loop import SimulatedLoop
from services.cli.drill.simulation.points import CrashPoints
from services.cli.drill.simulation.process import SimulatedProcess
from services.cli.drill.twins.book import DrilledBook
from services.cli.drill.twins.bus import BusServer, DrilledBus
from services.execution.bootstrap import assemble
from services.execution.settings import ExecutionSettings
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.runtime.shell import Component
from tradebus.store.memory_book import MemoryDatabase


@dataclass(frozen=True, slots=True)
class DrillWorld:
    """What all lives share."""

    loop: SimulatedLoop
    database: MemoryDatabase
    bus: BusServer
    networks: Mapping[str, BrokerNetwork]
    points: CrashPoints
    draws: Draws
    story: DrillStory
    state_dir: Path


@dataclass(slots=True)
class ServiceLives:
    """One service of one name. `down_ns` are the spans in which none of its lives ran, each with its end once that has
    come; `problems` are ends that nobody asked for."""

    name: str
    world: DrillWorld
    wire: Callable[[DrillWorld, str, SimulatedProcess], Component]
    restart_seconds: tuple[float, float]
    count: int = 0
    process: SimulatedProcess | None = None
    down_ns: list[list[int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_over: bool = False
    _running: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """The next life."""
        if self.is_over or self.process is not None:
            return
        self.count += 1
        loop = self.world.loop
        process = self.process = loop.process(f"{self.name}#{self.count}")
        if self.down_ns and len(self.down_ns[-1]) == 1:
            self.down_ns[-1].append(loop.machine.now_ns())
        self.world.story.tell(f"{process.name} begins")
        component = self.wire(self.world, self.name.rpartition("-")[2], process)
        self._running = loop.spawn(process, component.run(asyncio.Event()))
        self._running.add_done_callback(self._ended, context=loop.world.context.copy())

    def died(self, process: SimulatedProcess) -> None:
        """A process was killed: this one's next life comes later."""
        if process is not self.process:
            return
        self.process = None
        self.down_ns.append([self.world.loop.machine.now_ns()])
        if not self.is_over:
            self.world.loop.world.timers.after(self.world.draws.between(*self.restart_seconds), self.begin)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        process = self.process
        if process is None or process.is_doomed or task is not self._running:
            return
        error = None if task.cancelled() else task.exception()
        self.problems.append(f"{process.name} ended by itself: {type(error).__name__}: {error}")
        self.world.story.tell(self.problems[-1])
        self.world.loop.kill(process)


def execution_life(settings: ExecutionSettings) -> Callable[[DrillWorld, str, SimulatedProcess], Component]:
    """Wires execution as its own bootstrap does."""

    def wire(world: DrillWorld, instance: str, process: SimulatedProcess) -> Component:
        book = DrilledBook(
            world.database,
            producer=f"execution-{instance}",
            process=process,
            points=world.points,
            draws=world.draws,
            told=world.story.tell,
        )
        bus = DrilledBus(world.bus, process, points=world.points, draws=world.draws)
        own = settings.model_copy(update={"instance": instance, "state_dir": world.state_dir})
        return assemble(
            own, bus=bus, book=book, paper_book=MemoryPaperBook(), clock=process.timers, timers=process.timers,
            log_of=unrecorded, open_broker=DeskDoor(world.networks, process), registry=CollectorRegistry(),
        )  # fmt: skip

    return wire
