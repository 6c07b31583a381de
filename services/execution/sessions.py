"""The sessions execution has taken up, and the kill switch as the book has it."""

from typing import Any

from services.execution.trades.commits import CONSUMER
from tradebus.contracts.commands import Kill, StartTrading
from tradebus.contracts.sessions import PaperSettings, SessionSpec
from tradebus.kernel.errors import InvalidInput
from tradebus.store.store import Store

_ALIVE = "SELECT spec FROM sessions WHERE status NOT IN ('STOPPED', 'FAILED')"
_PARTICIPATE = "INSERT INTO session_participants (session_id, service) VALUES ($1, 'execution') ON CONFLICT DO NOTHING"
_GIVE_UP = "UPDATE sessions SET reason = $2 WHERE session_id = $1 AND status = 'STARTING'"
_REASON_MAX = 400
PAPER = "paper"


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

    def remember(self, spec: SessionSpec) -> None:
        """Knows the session without having taken it up: its account is still to be opened."""
        self._specs[spec.session_id] = spec

    async def participate(self, session_id: str) -> None:
        """Says durably that execution has the session, its account being open. Repeating it is harmless."""
        await self._store.pool.execute(_PARTICIPATE, session_id)

    async def give_up(self, session_id: str, *, reason: str) -> None:
        """Says why a session that is starting cannot be taken up; the gateway ends it with that reason."""
        await self._store.pool.execute(_GIVE_UP, session_id, f"execution: {reason}"[:_REASON_MAX])

    @property
    def at_brokers(self) -> list[SessionSpec]:
        """The sessions whose orders go to a broker."""
        return [spec for spec in self._specs.values() if spec.broker != PAPER]

    def is_at_broker(self, session_id: str) -> bool:
        """Whether its orders go to a broker. False for a session that is not known yet."""
        spec = self._specs.get(session_id)
        return spec is not None and spec.broker != PAPER

    async def refresh_kill_switch(self) -> None:
        self.killed = bool(await self._store.pool.fetchval("SELECT engaged FROM kill_switch"))

    async def kill(self, command: Kill) -> bool:
        """Whether the switch stands. An instance that is new to the bus reads old commands too: not where a person has
        released it since."""
        released = await self._store.pool.fetchval(
            "SELECT NOT engaged AND changed_ns >= $1 FROM kill_switch", command.ts_event_ns
        )
        self.killed = not released
        return self.killed

    async def paper_settings(self, session_id: str) -> PaperSettings:
        """How the paper broker behaves for this session. Raises InvalidInput for one that is not in the book."""
        return (await self.spec(session_id)).paper

    async def spec(self, session_id: str) -> SessionSpec:
        """Raises InvalidInput for a session that is not in the book."""
        if session_id not in self._specs:  # an order may come before the command that started its session
            spec = await self._store.pool.fetchval("SELECT spec FROM sessions WHERE session_id = $1", session_id)
            if spec is None:
                raise InvalidInput(f"session {session_id} is not in the book")
            self._remember(spec)
        return self._specs[session_id]

    def _remember(self, spec: Any) -> None:
        loaded = SessionSpec.model_validate(spec)
        self._specs[loaded.session_id] = loaded
