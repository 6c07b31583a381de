"""One run from its plan: the stage is set, the plan happens, the weather clears, everybody stops, and the books are
compared.

    0 ─────── trading, kills, faults ─────── 20 s ── calm ── STOP ── all is over ── a look at what came late ── verdict
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from services.cli.drill.exchange.faults import Weather
from services.cli.drill.exchange.market import STEP_SECONDS, small_exchange
from services.cli.drill.exchange.network import BrokerNetwork
from services.cli.drill.running.excuses import Excuse, excuses, pauses
from services.cli.drill.running.happenings import Happenings, lost_servers
from services.cli.drill.running.invariants import (
    BookAtEnd,
    Invariant,
    KnownOpen,
    Violation,
    at_end,
    left_at_stop,
    unprotected,
)
from services.cli.drill.running.lives import DrillWorld, ServiceLives, execution_life
from services.cli.drill.running.parts import PlayedParts
from services.cli.drill.running.people import People
from services.cli.drill.running.plan import MORNING, TRADING_SECONDS, DrillPlan, PlannedTrade
from services.cli.drill.running.story import DrillStory
from services.cli.drill.running.truth import BareSpan, ExchangeRecord, bare_spans, stops_taken_back, tags_of
from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.loop import SimulatedLoop
from services.cli.drill.simulation.points import CrashPoints
from services.cli.drill.twins.bus import BusServer
from services.execution.settings import ExecutionSettings
from services.sandbox.options import MarketOptions
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.store.memory_book import MemoryDatabase
from tradebus.waiting.timers import sleep

_CALM_SECONDS = 3.0  # between the last fault and STOP
_LATE_SECONDS, _LATE_NS = 14.0, 20_000_000_000  # what has come late is found by then
_QUIET_SECONDS = 2.0  # where nothing has
_LOOK_SECONDS = 0.5
_SETTINGS: dict[str, Any] = {
    "DATABASE_URL": "postgresql://none", "REDIS_URL": "redis://none", "TRADEBUS_KITE_URL": "http://127.0.0.1:1",
    "TRADEBUS_DHAN_URL": "http://127.0.0.1:2", "TRADEBUS_UPSTOX_URL": "http://127.0.0.1:3",
    "TRADEBUS_NAMESPACE": "drill",
}  # fmt: skip
"""Run-wide settings: loopback addresses, so that the brokers count as sandboxes."""


@dataclass(frozen=True, slots=True)
class DrillResult:
    """What a run came to. `faults` by kind, `seconds` of simulated time, `steps` of the loop."""

    seed: int
    violations: tuple[Violation, ...]
    known: tuple[KnownOpen, ...]
    faults: dict[str, int]
    orders: int
    positions: int
    requests: int
    kills: int
    seconds: float
    steps: int
    digest: str
    story: DrillStory = field(repr=False, compare=False)


class DrillRun:
    """Made for one plan, and played once."""

    def __init__(self, plan: DrillPlan, *, state_dir: Path, settings: ExecutionSettings | None = None) -> None:
        self.plan = plan
        start_ns = MarketOptions(start=plan.start).start_ns
        self.loop = SimulatedLoop(seed=plan.seed, start_ns=start_ns)
        self.story = DrillStory(self.loop.machine.now_ns)
        self.exchange = small_exchange(seed=plan.seed, start=plan.start, wall_ns=self.loop.machine.now_ns)
        points = CrashPoints(plan.strikes, self.story.tell)
        self.networks = {
            name: BrokerNetwork(
                name, name.upper(), self.exchange, loop=self.loop, points=points, told=self.story.tell,
                weather=self._weather(name),
            )
            for name in sorted(set(plan.sessions.values()))
        }  # fmt: skip
        self.world = DrillWorld(
            self.loop, MemoryDatabase(), BusServer(self.loop.world.timers), self.networks, points,
            Draws(plan.seed, "latencies"), self.story, state_dir,
        )  # fmt: skip
        wire = execution_life(settings or drill_settings())
        self.lives = [
            ServiceLives(name, self.world, wire, plan.restart_seconds) for name in plan.processes
        ]  # fmt: skip
        self.loop.died = self._died
        self.parts = PlayedParts(plan, self.world, self.exchange)
        self.record = ExchangeRecord(self.exchange, self.story.tell)
        self.people = People(plan, self.world, self.parts)
        self.happenings = Happenings(self.world, self.exchange, self.lives, self.people)
        self.violations: list[Violation] = []
        self.known: list[KnownOpen] = []

    def _weather(self, name: str) -> Weather:
        plan = self.plan
        return Weather(
            Draws(plan.seed, "weather", name), self.loop.machine.now_ns, plan.rates, plan.stream_rates, plan.mishaps
        )

    def play(self) -> DrillResult:
        """Raises nothing that a run may come to."""
        self.loop.play(self._play())
        self.violations += [
            Violation(Invariant.SERVICE_ENDED, problem) for one in self.lives for problem in one.problems
        ]
        for found in self.violations:
            self.story.tell(f"VIOLATED  {found.invariant}: {found.text}")
        faults = dict(self.happenings.counted)
        if self._stopped_ns:
            faults["stopped"] = len(self._stopped_ns)
        if (hour := self.plan.start.time()) != MORNING:
            faults["the market opens" if hour < MORNING else "the closing auction begins"] = 1
        for network in self.networks.values():
            for name, count in network.weather.counted.items():
                faults[name] = faults.get(name, 0) + count
        if died := stops_taken_back(self.record.changes, self._tags()):
            faults["stop taken back by price protection"] = len(died)
        return DrillResult(
            self.plan.seed, tuple(self.violations), tuple(self.known), faults, len(self._orders()),
            len(self.world.database.table("trades")), sum(one.requests for one in self.networks.values()),
            sum(len(one.down_ns) for one in self.lives), self.loop.machine.monotonic_ns() / NANOSECONDS_PER_SECOND,
            self.loop.steps, self.story.digest, self.story,
        )  # fmt: skip

    async def _play(self) -> None:
        timers = self.loop.world.timers
        background = [asyncio.create_task(self._market(timers))]
        for network in self.networks.values():
            background.append(asyncio.create_task(network.tell_changes()))
            background.append(asyncio.create_task(self.record.follow(network.account)))
        await self.parts.open()
        for one in self.lives:
            one.begin()
        happening = [asyncio.create_task(self._trade(one, timers)) for one in self.plan.trades]
        happening += [asyncio.create_task(self.happenings.happen(one)) for one in self.plan.events]
        await asyncio.wait(happening)
        for task in happening:
            task.result()
        await sleep(timers, max(0.0, TRADING_SECONDS - timers.monotonic_ns() / NANOSECONDS_PER_SECOND))
        for network in self.networks.values():
            network.weather.clear()
        self.world.points.close()
        self.story.tell("the weather clears")
        await sleep(timers, _CALM_SECONDS)
        if not lost_servers(self.happenings.counted) and self._all_live():
            self.violations += self.people.disobeyed()
        ends = [asyncio.create_task(self._stop(session)) for session in self.plan.sessions]
        await self._over(ends, timers)
        late = any(network.last_late_ns + _LATE_NS > timers.now_ns() for network in self.networks.values())
        late = late or any(span[-1] + _LATE_NS > timers.now_ns() for span in self._stopped_ns)
        await sleep(timers, _LATE_SECONDS if late else _QUIET_SECONDS)
        self._compare()
        for task in (*background, *ends):
            task.cancel()

    async def _over(self, ends: "list[asyncio.Task[None]]", timers: Timers) -> None:
        left = self.plan.end_seconds
        ends = [*ends, *self.happenings.hands.settling]
        while left > 0 and not (all(task.done() for task in ends) and not self._under_way()):
            await sleep(timers, _LOOK_SECONDS)
            left -= _LOOK_SECONDS
        for task in ends:
            if task.done():
                task.result()
        if left <= 0:
            open_sessions = [one for one in self.plan.sessions if one not in self.parts.over_ns]
            text = f"{open_sessions} not STOPPED after {self.plan.end_seconds:.0f} s of calm"
            self.violations.append(Violation(Invariant.NOT_FINISHED, text))

    async def _stop(self, session: str) -> None:
        await self.parts.stop(session)
        await self.parts.end(session)
        self.violations += left_at_stop(self._orders(), self._tags(), session)

    async def _trade(self, planned: PlannedTrade, timers: Timers) -> None:
        await sleep(timers, planned.at_seconds)
        await self.parts.enter(planned)
        if planned.exit_after is not None:
            await sleep(timers, planned.exit_after)
            await self.parts.leave(planned)

    async def _market(self, timers: Timers) -> None:
        while True:
            await sleep(timers, STEP_SECONDS)
            self.exchange.advance(STEP_SECONDS)
            await self.parts.publish_prices()

    def _compare(self) -> None:
        database = self.world.database
        tags = self._tags()
        book = BookAtEnd(
            self._orders(),
            tags,
            database.table("trades"),
            database.table("fills"),
            frozenset(self.happenings.hands.manual),
        )
        self.violations += at_end(book)
        spans = list(
            bare_spans(
                self.record.changes, tags, by_hand=self.happenings.hands.manual, end_ns=self.loop.machine.now_ns()
            )
        )
        why = excuses(
            down_ns={one.name: [*one.down_ns, *_stood_still_ns(self, one.name)] for one in self.lives},
            away_ns=self.happenings.away_ns, end_ns=self.loop.machine.now_ns(),
        )  # fmt: skip
        faults_ns = [span for network in self.networks.values() for span in network.weather.spans_ns]
        faults_ns += [
            (at_ns, at_ns) for at_ns in (*self.happenings.moments_ns, *stops_taken_back(self.record.changes, tags))
        ]
        lasting = [*self.happenings.away_ns, *self._stopped_ns, *(span for one in self.lives for span in one.down_ns)]
        faults_ns += [(span[0], span[-1]) for span in lasting]
        for bare in spans:
            for found in unprotected(
                [bare], [*why, *_pauses_of(bare, database.table("trades"), self.plan.start.date())], faults_ns
            ):
                if isinstance(found, Violation):
                    self.violations.append(found)
                else:
                    self.known.append(found)

    @property
    def _stopped_ns(self) -> list[list[int]]:
        """When processes stood still."""
        return [span for one in self.lives for span in _stood_still_ns(self, one.name)]

    def _died(self, process: Any) -> None:
        for one in self.lives:
            one.died(process)

    def _all_live(self) -> bool:
        """Whether every process has run for as long as a new one needs to know how things stand."""
        began_ns = self.loop.machine.now_ns() - round(_CALM_SECONDS * NANOSECONDS_PER_SECOND)
        spans = [*self._stopped_ns, *(span for one in self.lives for span in one.down_ns)]
        return all(len(span) > 1 and span[1] <= began_ns for span in spans)

    def _under_way(self) -> bool:
        stopped = any(one.process is not None and one.process.is_paused for one in self.lives)
        return stopped or any(network.under_way for network in self.networks.values())

    def _orders(self) -> list[Any]:
        return self.record.orders([network.account for network in self.networks.values()])

    def _tags(self) -> dict[str, Any]:
        return tags_of(self.world.database.table("trades"))


def _stood_still_ns(run: DrillRun, name: str) -> list[list[int]]:
    """When the lives of that name did, whatever stopped them."""
    return run.happenings.paused_ns.get(name, []) + run.world.points.stopped_ns.get(name, [])


def _pauses_of(bare: BareSpan, trades: Mapping[str, Trade], day: date) -> list[Excuse]:
    trade = trades.get(bare.pos_id)
    if trade is None:  # of all positions in an instrument: somebody has traded it by hand
        number = int(bare.pos_id.rpartition(" ")[2])
        trade = next(one for one in trades.values() if one.instrument == number)
    return pauses(trade.contract, day)


def drill_settings() -> ExecutionSettings:
    """Execution's settings as they are by default, whatever the environment says, with every broker a sandbox."""
    return ExecutionSettings(**_SETTINGS)
