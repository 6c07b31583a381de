"""A week from its plan, under one clock for all.

tokens, contracts ─► services begin ─► schedules, signals, faults ─► all is over ─► evening: both books ─► night
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, time
from pathlib import Path

from services.cli.drill.exchange.faults import NetworkFault, StreamFault, Weather
from services.cli.drill.exchange.market import registered
from services.cli.drill.exchange.network import BrokerNetwork
from services.cli.drill.running.story import DrillStory
from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.loop import SimulatedLoop
from services.cli.drill.simulation.points import CrashPoints
from services.cli.drill.twins.bus import BusServer
from services.cli.drill.week.clock import WeekClock
from services.cli.drill.week.evening import Evening, book_of_day, needs_of_people, of_account
from services.cli.drill.week.logins import LoginDoor, WeekLogins
from services.cli.drill.week.market import week_exchange
from services.cli.drill.week.plan import CLOSED, CLOSING, EVENING, FAST, LOGIN, MORNING, SLOW, WeekPlan
from services.cli.drill.week.services import NumberedIds, WeekWorld, week_services, week_settings
from services.cli.drill.week.ticks import publish_ticks
from services.cli.drill.week.trader import PlayedStrategies
from services.sandbox.ports import SandboxOrder
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.store.books import feeds_book, instruments_book, sessions_book
from tradebus.store.books.feeds import FeedRow
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.waiting.timers import sleep

_NIGHT_SECONDS = 20.0  # of the services' time, between two looks of a market that is shut
_OVER_SECONDS = 60  # of the services' time that all may take to be over after the last session's stop


@dataclass(frozen=True, slots=True)
class WeekResult:
    """`seconds` of the services' time, `steps` of the loop; `digest` of all that happened."""

    seed: int
    evenings: tuple[Evening, ...]
    problems: tuple[str, ...]
    faults: dict[str, int]
    requests: int
    seconds: float
    steps: int
    digest: str
    story: DrillStory = field(repr=False, compare=False)

    @property
    def passed(self) -> bool:
        return not self.problems and all(one.passed for one in self.evenings)


class WeekRun:
    """Made for one plan, and played once. `told` hears each evening."""

    def __init__(self, plan: WeekPlan, *, state_dir: Path, told: Callable[[Evening], None]) -> None:
        self.plan, self._told = plan, told
        start_ns = ist_to_ns(plan.days[0], MORNING)
        loop = self._loop = SimulatedLoop(seed=plan.seed, start_ns=start_ns)
        clock = self._clock = WeekClock(start_ns, machine_ns=loop.machine.now_ns, speed=FAST)
        self._story = DrillStory(clock.now_ns)
        self._exchange = week_exchange(seed=plan.seed, first=plan.days[0], wall_ns=loop.machine.monotonic_ns)
        points = CrashPoints((), self._story.tell)
        self._networks = {
            one.name: BrokerNetwork(
                one.broker, one.account, self._exchange, loop=loop, points=points, told=self._teller(one.name),
                weather=self._weather(one.name),
            )
            for one in plan.users
        }  # fmt: skip
        users = {one.name: one for one in plan.users}
        self._logins = WeekLogins(users, self._networks, state_dir)
        schedules = state_dir / "schedules.json"
        schedules.write_text(plan.schedules(), encoding="utf-8")
        self._book = MemoryBook(MemoryDatabase(), producer="market-1")
        bus = BusServer(loop.world.timers).bus
        world = WeekWorld(
            loop, self._book.database, bus, LoginDoor(self._logins), clock,
            week_settings(state_dir=state_dir, schedules=schedules),
            NumberedIds(plan.seed, loop.machine.now_ns), self._story.tell,
        )  # fmt: skip
        self._bus, self._services = bus, week_services(world)
        self._strategies = PlayedStrategies(
            plan, self._exchange, MemoryBook(world.database, producer="strategy-1"), bus
        )
        self._changes: dict[str, list[SandboxOrder]] = {one.name: [] for one in plan.users}
        self._evenings: list[Evening] = []
        self._events = 0
        self._begun_ns: list[tuple[int, int]] = []  # when services began, as spans: a fault that befalls everybody

    def play(self) -> WeekResult:
        """Raises nothing that a week may come to."""
        self._loop.play(self._play())
        faults: dict[str, int] = {}
        for network in self._networks.values():
            for name, count in network.weather.counted.items():
                faults[name] = faults.get(name, 0) + count
        problems = tuple(problem for one in self._services for problem in one.problems)
        return WeekResult(
            self.plan.seed, tuple(self._evenings), problems, faults,
            sum(one.requests for one in self._networks.values()),
            self._loop.machine.monotonic_ns() / NANOSECONDS_PER_SECOND, self._loop.steps, self._story.digest,
            self._story,
        )  # fmt: skip

    async def _play(self) -> None:
        background = [asyncio.create_task(network.tell_changes()) for network in self._networks.values()]
        background += [asyncio.create_task(self._follow(name)) for name in self._networks]
        # The prices are the first broker's.
        await feeds_book(self._book).begin(FeedRow("week", {"feed": "live", "broker": "kite"}, {}))
        for number, day in enumerate(self.plan.days):
            await self._until(day, self.plan.begins, seconds=_NIGHT_SECONDS)
            await self._morning(day, number)
            for until, speed in ((CLOSING, SLOW), (CLOSED, FAST)):
                await self._until(day, until, seconds=1.0)
                await self._end()
                await self._go_on(speed)
            await self._until(day, EVENING, seconds=1.0)
            await self._evening(day)
            if day != self.plan.awake:
                await self._end()
        await self._end()
        for task in background:
            task.cancel()

    async def _morning(self, day: date, number: int) -> None:
        """The tokens of yesterday end, the services begin where they do not run, and everybody logs in some time later:
        whoever is early finds his login ended."""
        self._logins.end_all()
        for changes in self._changes.values():
            changes.clear()
        for network in self._networks.values():
            network.weather.spans_ns.clear()
        master = instruments_book(self._book)
        async with self._book.begin() as transaction:
            listed = [registered(one) for one in self._exchange.instruments]
            await master.register(transaction, [one.model_copy(update={"terms_on": day}) for one in listed])
        # Stored logins are what a session names: there are some before the services begin.
        if number == 0:
            self._log_in(number)
        if not self._services[0].is_up:
            await self._go_on(FAST)
        await self._until(day, max(LOGIN, self.plan.begins), seconds=1.0)
        if number:
            self._log_in(number)

    async def _go_on(self, speed: int) -> None:
        """The services begin, with the market at that speed."""
        self._clock.go_at(speed)
        self._exchange.floor.clock.speed = speed
        self._begun_ns.append((self._loop.machine.now_ns(), self._loop.machine.now_ns()))
        for service in self._services:
            service.begin()

    async def _end(self) -> None:
        """The services end, where they run."""
        for service in reversed(self._services):
            await service.end()

    def _log_in(self, number: int) -> None:
        for name in self._networks:
            self._logins.log_in(name, number=number)
        self._story.tell("everybody has logged in")

    async def _evening(self, day: date) -> None:
        left, sessions = _OVER_SECONDS, sessions_book(self._book)
        while left and await sessions.alive():
            await self._second(1.0)
            left -= 1
        book = await book_of_day(self._book, day, self.plan.users, events_from=self._events)
        self._events, evening = self._events + len(book.events), Evening(day)
        for user in self.plan.users:
            network = self._networks[user.name]
            found, known, orders, entries = of_account(
                user, book, self._exchange, self._changes[user.name],
                faults_ns=[*network.weather.spans_ns, *self._begun_ns], now_ns=self._loop.machine.now_ns(),
            )  # fmt: skip
            evening.violations += found
            evening.orders += orders
            evening.entries += entries
            evening.known += len(known)
            evening.known_seconds_max = max([evening.known_seconds_max, *(one.seconds for one in known)])
        evening.violations += await needs_of_people(self._book, book, self.plan.users)
        evening.fills = sum(map(len, book.fills.values()))
        faults = sum(sum(one.weather.counted.values()) for one in self._networks.values())
        requests = sum(one.requests for one in self._networks.values())
        evening.faults = faults - sum(one.faults for one in self._evenings)
        evening.requests = requests - sum(one.requests for one in self._evenings)
        self._evenings.append(evening)
        for text in evening.violations:
            self._story.tell(f"VIOLATED  {text}")
        self._told(evening)

    async def _until(self, day: date, at: time, *, seconds: float) -> None:
        """Time goes on to then; the market every so many of the services' seconds."""
        due_ns = ist_to_ns(day, at)
        while (left_ns := due_ns - self._clock.now_ns()) >= self._clock.speed:  # one of the services' nanoseconds
            await self._second(min(seconds, left_ns / NANOSECONDS_PER_SECOND / self._clock.speed))

    async def _second(self, seconds: float) -> None:
        timers = self._loop.world.timers
        await sleep(timers, seconds)
        self._exchange.advance((self._clock.now_ns() - self._exchange.floor.clock.step_at_ns) / NANOSECONDS_PER_SECOND)
        market_ns = self._clock.now_ns()
        if self._services[0].is_up:
            await publish_ticks(self._bus, self._exchange, now_ns=market_ns, seconds=seconds * self._clock.speed)
            await self._strategies.step(market_ns)

    async def _follow(self, name: str) -> None:
        """What becomes of the user's orders, with the services' time. For ever."""
        account = next(one.account for one in self.plan.users if one.name == name)
        queue, tell = self._exchange.listen_orders(account), self._teller(name)
        while True:
            order = await queue.get()
            self._changes[name].append(replace(order, updated_ns=self._loop.machine.now_ns()))
            asked = order.request
            what = f"{asked.transaction} {asked.quantity} of {self._exchange.instruments[asked.instrument].symbol}"
            tell(f"exchange: order {order.order_id} ({what}, {asked.tag}) {order.status} {order.reason}")

    def _teller(self, name: str) -> Callable[[str], None]:
        return lambda text: self._story.tell(f"{name}  {text}")

    def _weather(self, name: str) -> Weather:
        share = self.plan.fault_share
        return Weather(
            Draws(self.plan.seed, "week weather", name), self._loop.machine.now_ns,
            {fault: share / len(NetworkFault) for fault in NetworkFault},
            {fault: share / len(StreamFault) for fault in StreamFault},
        )  # fmt: skip
