"""Execution as it runs: begins from the book, then its consumers, its heart, and the accounts.

begin ─► consumers (intents, ticks, commands) ║ heart ║ account manager (reconcilers) ║ untaken
"""

import asyncio
from collections.abc import Sequence

import structlog

from services.execution.accounts.manager import AccountManager
from services.execution.accounts.senders import Senders
from services.execution.handlers import TICKS_STREAM, Execution
from services.execution.recovery.housekeeping import Housekeeping
from services.execution.recovery.untaken import Untaken
from services.execution.sessions import ExecutionSessions
from services.execution.trades.keeper import Keeper
from services.execution.trades.pulse import Pulse
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.bus.port import Bus
from tradebus.execution.roster import Roster
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import Consumer
from tradebus.runtime.consuming.trouble import Trouble
from tradebus.runtime.market_time import MarketTime
from tradebus.runtime.patience import PASSING, patiently
from tradebus.runtime.shell import Component, run_components
from tradebus.waiting.timers import sleep

_log = structlog.get_logger()


class Heart:
    """Beats however long a turn takes."""

    def __init__(self, pulse: Pulse, timers: Timers, *, every_seconds: float) -> None:
        self._pulse, self._timers, self._every_seconds = pulse, timers, every_seconds

    async def run(self, stop: asyncio.Event) -> None:
        while not await sleep(self._timers, self._every_seconds, unless=stop):
            try:
                await self._pulse.beat()
            except PASSING as error:
                _log.warning("heart could not beat, trying again", error=str(error))


class ExecutionService:
    """A component of the service shell. `execution` handles entries, under `turn`."""

    def __init__(
        self, consumers: Sequence[Consumer], *, execution: Execution, turn: asyncio.Lock, bus: Bus,
        keeper: Keeper, sessions: ExecutionSessions, supervisor: TradeSupervisor, market: MarketTime,
        housekeeping: Housekeeping, senders: Senders, pulse: Pulse, manager: AccountManager | None,
        untaken: Untaken | None, timers: Timers, beat_seconds: float,
    ) -> None:  # fmt: skip
        self.execution, self.turn, self.keeper = execution, turn, keeper
        self._consumers, self._bus, self._sessions = consumers, bus, sessions
        self._supervisor, self._housekeeping, self._senders, self._manager = supervisor, housekeeping, senders, manager
        self._market, self._untaken = market, untaken
        self._pulse, self._timers, self._beat_seconds = pulse, timers, beat_seconds

    @property
    def killed(self) -> bool:
        """Whether the kill switch stands, as far as this instance knows."""
        return self._sessions.killed

    @property
    def roster(self) -> Roster:
        """The trades that this instance supervises now."""
        return self.keeper.roster

    @property
    def troubles(self) -> list[Trouble]:
        """What keeps its consumers from their work, and accounts from sending."""
        consumers = [trouble for consumer in self._consumers for trouble in consumer.troubles]
        return [*consumers, *self._senders.troubles]

    async def run(self, stop: asyncio.Event) -> None:
        """Begins from the book, then handles entries until told to stop."""
        if await patiently(self._begin, stop, timers=self._timers, what="execution: starting") is None:
            return
        heart = Heart(self._pulse, self._timers, every_seconds=self._beat_seconds)
        parts: list[Component] = [*self._consumers, heart]
        parts += [part for part in (self._manager, self._untaken) if part is not None]
        try:
            await run_components(parts, stop)
        finally:
            await self._housekeeping.close()
            await self._senders.close()

    async def _begin(self) -> bool:
        """Sessions, market time and a heart that beats before the first trade: without one that stops, nobody would
        adopt it. Trades are recovered by the consumers, before their first entry."""
        await self._sessions.load(await self.keeper.commits.ledger.sessions_alive())
        watermark_ns = await self._bus.last_watermark(TICKS_STREAM) or 0
        self._supervisor.begin(watermark_ns + 1)
        newest = await self._bus.tail(TICKS_STREAM, count=1)
        if watermark_ns and newest:
            self._market.heard(watermark_ns, newest[-1].entry_id)
        if self._manager is not None:
            for spec in self._sessions.at_brokers:
                self._manager.attach(spec, new=False)
        await self._pulse.beat()
        return True
