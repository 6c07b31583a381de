"""The services of a paced run in one process: strategy, risk and execution as they are, on a bus and a book in memory.

    history ─► market data's slices ─► strategy ─► risk ─► execution (paper) ─► the next slice

What runs in six processes on Redis and Postgres runs here in one event loop, each service with a door of its own to the
book: quick enough to be held to the engine on many markets.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from services.execution.bootstrap import assemble
from services.execution.settings import ExecutionSettings
from services.market_data.candles.day import plan_day
from services.market_data.feeds.bus_sink import BusSink
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from services.market_data.feeds.recorded.pacing import GridPace, OrdersGate
from services.risk.adapters.memory import MemoryRiskBook
from services.risk.bootstrap import wire as wire_risk
from services.risk.settings import RiskSettings
from services.strategy.adapters.memory_journal import MemoryJournal
from services.strategy.bootstrap import wire as wire_strategy
from services.strategy.settings import Settings as StrategySettings
from testkit.driven_time import START_NS, driven
from tradebus.brokers.audit.log import unrecorded
from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.bus.memory.bus import MemoryBus
from tradebus.calendar import session_of
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS
from tradebus.execution.trade import Trade
from tradebus.history.loading import load_history
from tradebus.kernel.clock import EventClock
from tradebus.kernel.ids import RandomIds, derive_id
from tradebus.kernel.timers import SimulatedTimers, Timers
from tradebus.runtime.shell import Component
from tradebus.store.books import instruments_book, session_register, sessions_book
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.symbols.descriptions import instrument_of

_SLICE_NS = 60_000_000_000
_UNUSED: dict[str, Any] = {"database_url": "postgresql://unused", "redis_url": "redis://unused", "paced": True}


async def run_services(
    path: Path, sessions: Sequence[SessionSpec], *, state_dir: Path, seed: int = 1, ticks_per_minute: int = 30,
    conflicts: Conflicts = Conflicts.INDEPENDENT,
) -> dict[str, list[tuple[Any, ...]]]:  # fmt: skip
    """Trades the file with these sessions; the rows of the decision log by kind, as the engine's record has them.

    All timers are one simulated time, which goes on while the services work: none waits for the machine's."""
    timers = SimulatedTimers(START_NS)
    async with driven(timers):
        return await _run(
            path, sessions, state_dir=state_dir, seed=seed, ticks_per_minute=ticks_per_minute, conflicts=conflicts,
            timers=timers,
        )  # fmt: skip


async def _run(
    path: Path, sessions: Sequence[SessionSpec], *, state_dir: Path, seed: int, ticks_per_minute: int,
    conflicts: Conflicts, timers: Timers,
) -> dict[str, list[tuple[Any, ...]]]:  # fmt: skip
    database, bus = MemoryDatabase(), MemoryBus(paced=True, timers=timers)
    book, stop = MemoryBook(database, producer="test-1"), asyncio.Event()
    history = load_history(path, symbols=(), from_date=None, to_date=None)
    feed = HistoryFeed(history, ticks_per_minute=ticks_per_minute, seed=seed)
    instruments = [instrument_of(one, number) for number, one in enumerate(feed.instruments)]
    async with book.begin() as transaction:
        await instruments_book(book).register(transaction, instruments)
    services = _services(database, bus, state_dir=state_dir, conflicts=conflicts, timers=timers)
    running = [asyncio.create_task(service.run(stop)) for service in services]
    try:
        await _start(book, bus, sessions, running, timers=timers)
        numbers = {one.symbol: one.instrument_id for one in instruments}
        sink = BusSink(bus, book, received=None, keep_empty=True)
        pace = GridPace(slice_ns=_SLICE_NS, gate=OrdersGate(bus), timer=None)
        reached_ns = 0
        for day in feed.days:
            found = {one.instrument_id: session_of(one, day.day) for one in instruments}
            plan = plan_day(
                feed.ticks(day, numbers), sessions={one: hours for one, hours in found.items() if hours is not None}
            )
            pace.begin_day(day, plan, start_ns=reached_ns)
            start_ns = reached_ns
            while start_ns < day.close_ns:
                piece = plan.cut(start_ns, pace.propose(start_ns))
                if start_ns:
                    await _all_well(pace.settled(start_ns, stop=stop), running)
                await sink.publish(piece)
                await sink.store(piece)
                start_ns = piece.end_ns
            reached_ns = start_ns
        await _all_well(pace.settled(reached_ns, stop=stop), running)
    finally:
        stop.set()
        await asyncio.gather(*running)
    return _log(database, {spec.session_id: spec for spec in sessions}, {one.instrument_id: one for one in instruments})


def _services(
    database: MemoryDatabase, bus: MemoryBus, *, state_dir: Path, conflicts: Conflicts, timers: Timers
) -> list[Component]:
    def door(name: str) -> MemoryBook:
        return MemoryBook(database, producer=f"{name}-1")

    def common() -> dict[str, Any]:
        return {"clock": EventClock(), "timers": timers, "registry": CollectorRegistry()}

    strategy, risk, execution = door("strategy"), door("risk"), door("execution")
    wired = wire_strategy(
        StrategySettings(**_UNUSED, conflicts=conflicts, flush_seconds=0.01), bus=bus, book=strategy,
        journal=MemoryJournal(strategy), **common(),
    )  # fmt: skip
    judging = wire_risk(
        RiskSettings(**_UNUSED, state_dir=state_dir), bus=bus, book=MemoryRiskBook(risk), store=risk,
        publisher=Outbox(risk, bus, timers=timers), ids=RandomIds(), **common(),
    )  # fmt: skip
    sending = assemble(
        ExecutionSettings(**_UNUSED), bus=bus, book=execution, paper_book=MemoryPaperBook(), log_of=unrecorded,
        **common(),
    )  # fmt: skip
    return [*wired.components, *judging.components, sending]


async def _start(
    book: MemoryBook, bus: MemoryBus, sessions: Sequence[SessionSpec], running: Sequence[asyncio.Task[None]], *,
    timers: Timers,
) -> None:  # fmt: skip
    """What the gateway does for START_TRADING, and their taking the sessions up."""
    register = session_register(book)
    for number, spec in enumerate(sessions):
        async with book.begin() as transaction:
            await register.insert(transaction, spec, command_id=f"c{number}", now_ns=number)
            await register.begin(transaction, spec.session_id, SessionStatus.RUNNING)
            transaction.emit(
                COMMANDS.name,
                StartTrading(
                    event_id=derive_id(number, "start", spec.session_id), ts_event_ns=number, ts_recorded_ns=number,
                    source="test", trace_id="start", session_id=spec.session_id, spec=spec,
                ),
            )  # fmt: skip
        await Outbox(book, bus, timers=timers).flush()
    for service in ("strategy", "risk"):

        async def taken_up(service: str = service) -> None:
            while not all(one.is_taken_up for one in await sessions_book(book).standing(service)):
                await asyncio.sleep(0)

        await _all_well(taken_up(), running)


async def _all_well(work: Any, running: Sequence[asyncio.Task[None]]) -> None:
    """Waits for `work`, and no longer than all services run."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task, *running], return_when=asyncio.FIRST_COMPLETED, timeout=120)
    for service in running:
        if service.done():
            await service
    assert task.done(), "a service has ended, or nothing moves"
    await task


def _log(
    database: MemoryDatabase, specs: Mapping[str, SessionSpec], instruments: Mapping[int, Instrument]
) -> dict[str, list[tuple[Any, ...]]]:
    decisions = [
        (row.ts_event_ns, specs[row.session_id].user_id, row.strategy, instruments[row.instrument].symbol, row.action,
         row.reason, row.price_paise)
        for row in database.table("decisions").values()
    ]  # fmt: skip
    verdicts = [
        (line.ts_event_ns, specs[line.session_id].user_id, line.body.get("strategy") or "",
         line.body.get("symbol") or "", line.verdict, line.rule, line.quantity)
        for line in database.table("risk_decisions").values()
    ]  # fmt: skip
    trades: Mapping[str, Trade] = database.table("trades")
    fills = []
    for pos_id, found in database.table("fills").items():
        trade = trades[pos_id]
        for new in found:
            order = trade.order(new.order_id)
            fills.append((new.fill.ts_event_ns, trade.user_id, trade.strategy, trade.symbol, order.role.value,
                          order.transaction.value, new.fill.quantity, new.fill.price_paise))  # fmt: skip
    results = [
        (one.closed_ns or 0, one.user_id, one.strategy, one.symbol, one.side.value, one.entry_quantity,
         one.net_pnl_paise)
        for one in trades.values() if one.entry_quantity
    ]  # fmt: skip
    return {"decision": decisions, "risk": verdicts, "fill": fills, "trade": results}
