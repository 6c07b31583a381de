"""A paced run from beginning to end: start the sessions, follow the feed to its end, stop them, read the book."""

import asyncio
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any, Protocol

from services.cli.client import GatewayClient
from services.cli.output import Verbosity
from services.cli.reports.report import RunReport, read_report
from services.cli.stack.assembly import Stack
from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED
from services.strategy.reader import GROUP as STRATEGIES
from tradebus.bus.port import Bus, Subscription
from tradebus.bus.redis.bus import RedisBus
from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.time import ist_to_ns
from tradebus.store.store import Store
from tradebus.waiting.timers import wall_timers

START_SECONDS = 60.0
STOP_SECONDS = 60.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class WantedSession:
    """One session to run."""

    user_id: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    report: RunReport
    wall_seconds: float  # from the first command to the last session stopped


class RunWatcher(Protocol):
    """Shown the feed's status (its row's JSON) several times a second."""

    async def show(self, status: dict[str, Any], store: Store) -> None:
        """`status` is {} before the feed has begun."""


async def run_paced(
    stack: Stack,
    wanted: Sequence[WantedSession],
    *,
    symbols: Sequence[str],
    from_date: date,
    to_date: date,
    watcher: RunWatcher,
) -> RunOutcome:
    """Runs the stack's feed to its end. Raises what a service that is given up says, or a session that fails."""
    await stack.start_first()
    began_ns = monotonic_ns()
    async with stack.client() as client:
        replies = [
            await client.command("START_TRADING", user_id=session.user_id, data=session.data) for session in wanted
        ]
        await stack.start_rest()
        ids = [str(reply["session_id"]) for reply in replies]
        namespace = stack.plan.namespace
        store = await Store.connect(
            stack.servers.database_url, namespace=namespace, producer="cli", pool_size=1, timers=wall_timers()
        )
        bus = await RedisBus.connect(stack.servers.redis_url, namespace=namespace, timers=wall_timers())
        try:
            await stack.supervisor.while_healthy(_follow(client, ids, store, bus, watcher))
            await stack.supervisor.while_healthy(stop_sessions(client, wanted, ids, reason="end of feed"))
            wall_seconds = (monotonic_ns() - began_ns) / 1e9
            # What services keep in hand (decisions are journalled in batches) is in the book once they have ended.
            await stack.supervisor.stop()
            report = await read_report(
                store.pool,
                symbols=symbols,
                from_ns=ist_to_ns(from_date, time(0)),
                to_ns=ist_to_ns(to_date + timedelta(days=1), time(0)),
            )
        finally:
            await bus.close()
            await store.close()
    return RunOutcome(report, wall_seconds)


async def _follow(client: GatewayClient, ids: Sequence[str], store: Store, bus: Bus, watcher: RunWatcher) -> None:
    """Returns once the feed has ended and every service is done with all of it."""
    for session_id in ids:
        await client.until(session_id, "RUNNING", seconds=START_SECONDS)
    decided = await bus.subscribe([CANDLES], group=STRATEGIES, consumer="cli")  # to look at how far the group is
    ended = False
    while not ended:
        await asyncio.sleep(_POLL_SECONDS)
        ended = await is_over(bus, decided)
        await watcher.show(await feed_status(store), store)


async def is_over(bus: Bus, decided: Subscription) -> bool:
    """Whether the feed has ended and the strategies have stored all they decided: they acknowledge no sooner. The feed
    itself waits for everybody's watermark but not for the journal, and what a killed strategy had in hand is decided
    again only while its session lives."""
    newest = await bus.tail(CANDLES, count=1)
    return bool(newest) and newest[-1].kind == END_OF_FEED and not sum((await decided.lag()).values())


async def stop_sessions(
    client: GatewayClient, wanted: Sequence[WantedSession], ids: Sequence[str], *, reason: str
) -> None:
    """Closes what is open and waits until every session has ended."""
    for session in wanted:
        await client.command("STOP_TRADING", user_id=session.user_id, data={"reason": reason})
    for session_id in ids:
        await client.until(session_id, "STOPPED", seconds=STOP_SECONDS)


async def feed_status(store: Store) -> dict[str, Any]:
    """Where the feed stands; {} before it has begun."""
    return dict(await store.pool.fetchval("SELECT status FROM feeds WHERE shard = 0") or {})


class DayBar:
    """Days that are done, of so many, on stderr. Shows nothing where stderr is no terminal, or with --silent."""

    def __init__(self, days: int) -> None:
        self._days, self._done = days, 0
        self._bar = ProgressBar()

    def __enter__(self) -> "DayBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def day_done(self, day: date, bars: int) -> None:
        self._done += 1
        self._bar.update(fraction=self._done / self._days, day=day.isoformat(), bars=bars)


class ProgressBar:
    """Days of event time, on stderr. Shows nothing where stderr is no terminal, or with --silent."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.fields[day]:>10}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % · {task.fields[bars]:,} bars"),
            TimeElapsedColumn(),
            console=console,
            disable=Verbosity.silent or not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=1.0, day="", bars=0)

    @contextmanager
    def shown(self) -> Any:
        with self._progress:
            yield self

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        self._progress.stop()

    def update(self, *, fraction: float, day: str, bars: int) -> None:
        """`fraction` of all days, the day last done, bars so far."""
        self._progress.update(self._task, completed=fraction, day=day, bars=bars)

    async def show(self, status: dict[str, Any], store: Store) -> None:
        if status:
            self.update(fraction=status["fraction"], day=status.get("day", ""), bars=status.get("bars", 0))
