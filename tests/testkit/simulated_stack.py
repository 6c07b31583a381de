"""Strategy, risk and execution as they run live, in one process and one simulated time.

    the market's slices ─► strategy ─► risk ─► execution ─► paper, or a broker of the test's

Not paced: what is due by the clock is due without a tick. All timers of all services are one `SimulatedTimers`, which
hops from what is due to what is due next, so that an hour of the market takes a second or two. Bus and book are twins.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.execution.bootstrap import assemble
from services.execution.settings import ExecutionSettings
from services.market_data.candles.day import plan_day
from services.market_data.feeds.bus_sink import BusSink
from services.risk.adapters.memory import MemoryRiskBook
from services.risk.bootstrap import wire as wire_risk
from services.risk.settings import RiskSettings
from services.strategy.adapters.memory_journal import MemoryJournal
from services.strategy.bootstrap import wire as wire_strategy
from services.strategy.settings import Settings as StrategySettings
from testkit.driven_time import AtOnce
from testkit.fake_broker import FakeBroker, opening
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.bus.memory.bus import MemoryBus
from tradebus.calendar import session_of
from tradebus.contracts.base import Message
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import Records
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS, ORDERS
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.shell import Component
from tradebus.store.books import instruments_book, session_register, sessions_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox

_SETTINGS: dict[str, Any] = {"database_url": "postgresql://unused", "redis_url": "redis://unused"}
_TURNS = 40  # so many steps of the event loop has everybody to do what takes no time
_STEP_NS = 2 * NANOSECONDS_PER_SECOND  # what is due within one is done at its own time, and answered at its end


class SimulatedStack:
    """A context. `after_each` is what the broker does by itself, asked after every hop."""

    def __init__(
        self, *brokers: FakeBroker, state_dir: Path, start_ns: int, instruments: Sequence[Instrument],
        after_each: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.timers, self._after_each = SimulatedTimers(start_ns), after_each
        self.database, self.bus = MemoryDatabase(), MemoryBus(paced=False, timers=self.timers)
        self.book, self._stop = MemoryBook(self.database, producer="test-1"), asyncio.Event()
        self._instruments, self._state_dir, self._brokers = instruments, state_dir, brokers
        self._sink = BusSink(self.bus, self.book, received=None, keep_empty=True)
        self._running: list[asyncio.Task[None]] = []
        self.hops = 0

    async def __aenter__(self) -> "SimulatedStack":
        asyncio.get_running_loop().set_default_executor(AtOnce())
        async with self.book.begin() as transaction:
            await instruments_book(self.book).register(transaction, self._instruments)
        for broker in self._brokers:
            Credentials(self._state_dir).put(broker.name, Credential(broker.name, "key", access_token="tok"))
        self._running = [asyncio.create_task(service.run(self._stop)) for service in self._services()]
        await self._settle()
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._stop.set()
        for _ in range(100):
            await self._settle()
            if all(task.done() for task in self._running):
                break
            self._hop(self.timers.now_ns() + NANOSECONDS_PER_SECOND)
        late = [task for task in self._running if not task.done()]
        for task in late:
            task.cancel()
        await asyncio.gather(*self._running)
        assert not late, "a service does not stop"

    def _services(self) -> list[Component]:
        def common() -> dict[str, Any]:
            return {"clock": self.timers, "timers": self.timers, "registry": CollectorRegistry()}

        strategy, risk, execution = (
            MemoryBook(self.database, producer=f"{name}-1") for name in ("strategy", "risk", "execution")
        )
        wired = wire_strategy(
            StrategySettings(**_SETTINGS), bus=self.bus, book=strategy, journal=MemoryJournal(strategy), **common()
        )
        judging = wire_risk(
            RiskSettings(**_SETTINGS, state_dir=self._state_dir), bus=self.bus, book=MemoryRiskBook(risk), store=risk,
            publisher=Outbox(risk, self.bus, timers=self.timers), ids=RandomIds(), **common(),
        )  # fmt: skip
        sending = assemble(
            ExecutionSettings(**_SETTINGS, TRADEBUS_STATE_DIR=self._state_dir, TRADEBUS_KITE_URL="http://127.0.0.1:1"),
            bus=self.bus, book=execution, paper_book=MemoryPaperBook(), log_of=unrecorded,
            open_broker=opening(*self._brokers), **common(),
        )  # fmt: skip
        return [*wired.components, *judging.components, sending]

    async def start(self, spec: SessionSpec) -> None:
        """What the gateway does for START_TRADING, and everybody's taking the session up."""
        register, now_ns = session_register(self.book), self.timers.now_ns()
        async with self.book.begin() as transaction:
            await register.insert(transaction, spec, command_id=f"c-{spec.session_id}", now_ns=now_ns)
            await register.begin(transaction, spec.session_id, SessionStatus.RUNNING)
            transaction.emit(
                COMMANDS.name,
                StartTrading(
                    event_id=derive_id(now_ns, "start", spec.session_id), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
                    source="test", trace_id="start", session_id=spec.session_id, user_id=spec.user_id, spec=spec,
                ),
            )  # fmt: skip
        await Outbox(self.book, self.bus, timers=self.timers).flush()
        for service in ("strategy", "risk", "execution"):

            async def taken_up(service: str = service) -> bool:
                return all(one.is_taken_up for one in await sessions_book(self.book).standing(service))

            assert await self.until(taken_up, seconds=60), f"{service} does not take the session up"

    async def until(self, question: Callable[[], Any], *, seconds: float) -> bool:
        """Whether it comes true within so much of simulated time; time stands there."""
        end_ns = self.timers.now_ns() + round(seconds * NANOSECONDS_PER_SECOND)
        while not await question():
            if self.timers.now_ns() >= end_ns:
                return False
            self._hop(end_ns)
            await self._settle()
        return True

    async def passes(self, to_ns: int) -> None:
        """Time goes on to `to_ns`, and nothing comes from the market."""
        while self.timers.now_ns() < to_ns:
            self._hop(to_ns)
            await self._settle()

    async def market(
        self, ticks: Records, *, slice_seconds: float = 60.0, breaks_off: Callable[[], bool] = lambda: False
    ) -> None:
        """A day of ticks from its open on, each slice at its end, until there are no more or it `breaks_off`."""
        day = ist_date(int(ticks["ts_event_ns"][0]))
        hours = {one.instrument_id: found for one in self._instruments if (found := session_of(one, day)) is not None}
        plan, start_ns = plan_day(ticks, sessions=hours), 0
        last_ns = int(ticks["ts_event_ns"][-1])
        while start_ns <= last_ns and not breaks_off():
            end_ns = max(start_ns, min(found.open_ns for found in hours.values()))
            end_ns += round(slice_seconds * NANOSECONDS_PER_SECOND)
            await self.passes(end_ns)
            piece = plan.cut(start_ns, end_ns)
            await self._sink.publish(piece)
            await self._sink.store(piece)
            await self._settle()
            start_ns = piece.end_ns

    @property
    def trades(self) -> list[Trade]:
        return list(self.database.table("trades").values())

    async def told(self, kind: str) -> list[Message]:
        """What execution has said of one type, in order."""
        entries = await self.bus.tail(ORDERS.name, count=10_000)
        return [one for one in (parse(entry.body) for entry in entries if entry.body) if kind == one.TYPE]

    def _hop(self, at_most_ns: int) -> None:
        due_ns = self.timers.next_due_ns()
        step_ns = self.timers.now_ns() + _STEP_NS
        self.timers.advance(at_most_ns if due_ns is None else min(max(due_ns, step_ns), at_most_ns))
        self.hops += 1

    async def _settle(self) -> None:
        """Everybody does what takes no time. Raises where a service has ended."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._after_each()
        for task in self._running:
            if task.done() and not self._stop.is_set():
                await task
                raise AssertionError("a service has ended")
