"""Whether the kill switch is engaged: the row in the book, or the `.killswitch` file in the state folder.

Looked at by a task of its own, so that neither disk nor database is ever waited for on the way of a signal. Works with
the gateway dead: what is found here leads to the same exits as the KILL command that the gateway sends for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from services.risk.ports import RiskBook
from tradebus.contracts.commands import Kill
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.consuming.chores import Job
from tradebus.runtime.patience import repeatedly
from tradebus.store.books.kill_switch import KILL_FILE, reason_in

_log = structlog.get_logger()


class KillSwitchState:
    """`engaged` is what decisions see, `pending` the reason of an engagement for which nothing was closed yet."""

    def __init__(self, book: RiskBook, *, state_dir: Path) -> None:
        self._book, self._path = book, state_dir / KILL_FILE
        self._commanded = 0
        self.engaged = False
        self.pending: str | None = None

    def command(self, *, engaged: bool) -> None:
        """A KILL was handled, and this is how the row stands now."""
        self._commanded += 1
        self.engaged = self.engaged or engaged

    async def look(self) -> None:
        """Brings `engaged` up to date. A KILL handled meanwhile is newer than what was read, and stays."""
        commanded = self._commanded
        by_row = await self._book.is_killed()
        file_reason = await asyncio.to_thread(reason_in, self._path)
        if commanded != self._commanded:
            return
        engaged = by_row or file_reason is not None
        if engaged and not self.engaged:
            self.pending = "the kill_switch row" if by_row else file_reason
        self.engaged = engaged


class KillWatch:
    """Looks until told to stop, and has everything closed (`close`, posted to the loop that handles entries) where the
    switch is found engaged without a command."""

    def __init__(
        self, switch: KillSwitchState, *, close: Callable[[Kill], Awaitable[object]], post: Callable[[Job], None],
        clock: Clock, ids: IdSource, timers: Timers, poll_seconds: float,
    ) -> None:  # fmt: skip
        self._switch, self._close, self._post = switch, close, post
        self._clock, self._ids, self._timers, self._poll_seconds = clock, ids, timers, poll_seconds
        self._is_posted = False

    async def run(self, stop: asyncio.Event) -> None:
        """A database that does not answer leaves the switch as it is."""
        await repeatedly(
            self._look, stop, timers=self._timers, every_seconds=self._poll_seconds, what="reading the kill switch",
            at_once=False,
        )  # fmt: skip

    async def _look(self) -> None:
        try:
            await self._switch.look()
        finally:  # what was found before waits for no further look
            if self._switch.pending is not None and not self._is_posted:
                self._is_posted = True
                self._post(self._close_all)

    async def _close_all(self) -> None:
        reason, self._is_posted = self._switch.pending, False
        if reason is None:
            return
        now_ns, command_id = self._clock.now_ns(), self._ids.new_id()
        command = Kill(
            event_id=command_id, ts_event_ns=now_ns, ts_recorded_ns=now_ns, source="risk", trace_id=command_id,
            reason=reason,
        )  # fmt: skip
        await self._close(command)
        self._switch.pending = None
        _log.warning("kill switch engaged", reason=reason)
