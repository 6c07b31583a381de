"""Whether the kill switch is engaged: the row in the book, or the `.killswitch` file in the state folder.

Looked at by a task of its own, so that neither disk nor database is ever waited for on the way of a signal. Works with
the gateway dead: what is found here leads to the same exits as the KILL command that the gateway sends for it.
"""

import asyncio
from pathlib import Path

import asyncpg
import structlog

from services.risk.adapters.ledger import is_killed
from tradebus.store.store import Store

KILL_FILE = ".killswitch"
_log = structlog.get_logger()


class KillSwitch:
    """`engaged` is what decisions see, `pending` the reason of an engagement for which nothing was closed yet."""

    def __init__(self, store: Store, *, state_dir: Path, poll_seconds: float) -> None:
        self._store, self._path, self._poll_seconds = store, state_dir / KILL_FILE, poll_seconds
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
        by_row = await is_killed(self._store.pool)
        by_file = await asyncio.to_thread(self._path.exists)
        if commanded != self._commanded:
            return
        engaged = by_row or by_file
        if engaged and not self.engaged:
            self.pending = "the kill_switch row" if by_row else f"file {KILL_FILE}"
        self.engaged = engaged

    async def run(self, stop: asyncio.Event) -> None:
        """Looks until told to stop; a database that does not answer leaves the switch as it is."""
        while not stop.is_set():
            try:
                await self.look()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.warning("the kill switch could not be read, trying again", error=str(error))
            try:
                await asyncio.wait_for(stop.wait(), self._poll_seconds)
            except TimeoutError:
                continue
