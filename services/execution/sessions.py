"""The sessions execution has taken up, and the kill switch as the book has it."""

from typing import Any

from services.execution.keeper import CONSUMER
from tradebus.contracts.commands import StartTrading
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.store.store import Store

_ALIVE = "SELECT spec FROM sessions WHERE status NOT IN ('STOPPED', 'FAILED')"
_PARTICIPATE = "INSERT INTO session_participants (session_id, service) VALUES ($1, 'execution') ON CONFLICT DO NOTHING"


class Sessions:
    """Specs by session id."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._specs: dict[str, SessionSpec] = {}
        self.killed = False

    async def load(self) -> None:
        """Takes up again what was alive before a restart, ended sessions that still hold trades included."""
        for row in await self._store.pool.fetch(_ALIVE):
            self._remember(row["spec"])
        rows = await self._store.pool.fetch(
            "SELECT spec FROM sessions WHERE session_id IN (SELECT DISTINCT session_id FROM trades"
            " WHERE state NOT IN ('CLOSED', 'REJECTED', 'CANCELLED'))"
        )
        for row in rows:
            self._remember(row["spec"])
        await self.refresh_kill_switch()

    async def take_up(self, message: StartTrading) -> None:
        """Says, once and durably, that execution has the session."""
        async with self._store.begin() as tx:
            if await tx.first_time(CONSUMER, message.event_id):
                await tx.connection.execute(_PARTICIPATE, message.spec.session_id)
        self._specs[message.spec.session_id] = message.spec

    async def refresh_kill_switch(self) -> None:
        self.killed = bool(await self._store.pool.fetchval("SELECT engaged FROM kill_switch"))

    def paper_settings(self, session_id: str) -> PaperSettings:
        """How the paper broker behaves for this session."""
        spec = self._specs.get(session_id)
        return spec.paper if spec else PaperSettings()

    def _remember(self, spec: Any) -> None:
        loaded = SessionSpec.model_validate(spec)
        self._specs[loaded.session_id] = loaded
