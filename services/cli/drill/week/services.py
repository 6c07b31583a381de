"""The services of the week, each a process of its own, wired as it wires itself: gateway, risk, execution.

begun ─► told to end, in its time ─► the next life, on the same book and bus
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.cli.drill.simulation.loop import SimulatedLoop
from services.cli.drill.simulation.process import SimulatedProcess
from services.cli.drill.week.clock import WeekClock
from services.cli.drill.week.logins import LoginDoor
from services.execution.bootstrap import assemble
from services.execution.settings import ExecutionSettings
from services.gateway.alerts.sinks import open_sink
from services.gateway.bootstrap import wire as wire_gateway
from services.gateway.settings import GatewaySettings
from services.risk.adapters.memory import MemoryRiskBook
from services.risk.bootstrap import wire as wire_risk
from services.risk.settings import RiskSettings
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.bus.port import Bus
from tradebus.kernel.ids import derive_id
from tradebus.runtime.shell import Component, run_components
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox

WireService = Callable[["WeekWorld", SimulatedProcess], Awaitable[Sequence[Component]]]
NAMES = ("gateway", "risk", "execution")


class NumberedIds:
    """Ids by number: the same in every run of a seed."""

    def __init__(self, seed: int, now_ns: Callable[[], int]) -> None:
        self._seed, self._now_ns, self._number = seed, now_ns, 0

    def new_id(self) -> str:
        self._number += 1
        return derive_id(self._now_ns(), "week", self._seed, self._number)


@dataclass(frozen=True, slots=True)
class WeekWorld:
    """What all services share. `settings` are the run's, by their environment's names, less what its clock says."""

    loop: SimulatedLoop
    database: MemoryDatabase
    bus: Bus
    door: LoginDoor
    clock: WeekClock
    settings: dict[str, Any]
    ids: NumberedIds
    tell: Callable[[str], None]

    def environment(self) -> dict[str, Any]:
        """Of a service that begins now."""
        return {**self.settings, "TRADEBUS_MARKET_CLOCK": self.clock.setting()}


def week_settings(*, state_dir: Path, schedules: Path) -> dict[str, Any]:
    """Loopback addresses, so that the brokers count as sandboxes."""
    return {
        "DATABASE_URL": "postgresql://none", "REDIS_URL": "redis://none", "TRADEBUS_NAMESPACE": "week",
        "TRADEBUS_KITE_URL": "http://127.0.0.1:1", "TRADEBUS_DHAN_URL": "http://127.0.0.1:2",
        "TRADEBUS_UPSTOX_URL": "http://127.0.0.1:3", "TRADEBUS_STATE_DIR": state_dir, "TRADEBUS_SCHEDULES": schedules,
    }  # fmt: skip


@dataclass(slots=True)
class WeekService:
    """One service, life after life. `problems` are ends that nobody asked for."""

    name: str
    world: WeekWorld
    wire: WireService
    lives: int = 0
    problems: list[str] = field(default_factory=list)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: "asyncio.Task[None] | None" = None

    @property
    def is_up(self) -> bool:
        return self._running is not None

    def begin(self) -> None:
        """The next life, where none runs."""
        if self._running is not None:
            return
        self.lives += 1
        process = self.world.loop.process(f"{self.name}#{self.lives}")
        self._stop = asyncio.Event()
        self.world.tell(f"{process.name} begins")
        self._running = self.world.loop.spawn(process, self._run(process, self._stop))

    async def end(self) -> None:
        """Told to end; returns when it has."""
        if self._running is not None:
            self._stop.set()
            await asyncio.wait([self._running])
            self._running = None
            self.world.tell(f"{self.name} has ended")

    async def _run(self, process: SimulatedProcess, stop: asyncio.Event) -> None:
        try:
            await run_components(list(await self.wire(self.world, process)), stop)
        except Exception as error:  # noqa: BLE001 - whatever it was is what the run has found
            self.problems.append(f"{process.name} ended: {type(error).__name__}: {error}")
        else:
            if not stop.is_set():
                self.problems.append(f"{process.name} ended by itself")
        if not stop.is_set():
            self.world.tell(self.problems[-1])


async def _gateway(world: WeekWorld, process: SimulatedProcess) -> Sequence[Component]:
    wired = await wire_gateway(
        GatewaySettings(**world.environment()), bus=world.bus, book=MemoryBook(world.database, producer="gateway-1"),
        clock=process.timers, ids=world.ids, timers=process.timers, registry=CollectorRegistry(), log_of=unrecorded,
        open_broker=world.door, open_sink=open_sink,
    )  # fmt: skip
    return wired.components


async def _risk(world: WeekWorld, process: SimulatedProcess) -> Sequence[Component]:
    book = MemoryBook(world.database, producer="risk-1")
    return wire_risk(
        RiskSettings(**world.environment()), bus=world.bus, book=MemoryRiskBook(book), store=book,
        publisher=Outbox(book, world.bus, timers=process.timers), clock=process.timers, ids=world.ids,
        timers=process.timers, registry=CollectorRegistry(),
    ).components  # fmt: skip


async def _execution(world: WeekWorld, process: SimulatedProcess) -> Sequence[Component]:
    return [
        assemble(
            ExecutionSettings(**world.environment()), bus=world.bus,
            book=MemoryBook(world.database, producer="execution-1"), paper_book=MemoryPaperBook(),
            clock=process.timers, timers=process.timers, log_of=unrecorded, open_broker=world.door,
            registry=CollectorRegistry(),
        )
    ]  # fmt: skip


def week_services(world: WeekWorld) -> list[WeekService]:
    """Not begun yet."""
    wires: dict[str, WireService] = {"gateway": _gateway, "risk": _risk, "execution": _execution}
    return [WeekService(name, world, wires[name]) for name in NAMES]
