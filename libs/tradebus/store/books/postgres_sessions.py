"""The sessions on Postgres."""

from collections.abc import Collection, Sequence
from typing import Any

from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS, ORDERS, SESSIONS
from tradebus.store.books.sessions import (
    BROKER_BOOK,
    ENDED,
    POSITION_REPORTS,
    REASON_MAX,
    Changing,
    SessionOutcome,
    Standing,
    TakenUp,
)
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.trading.sessions import StoredSession

_SQL = load_queries("tradebus.store.books", "sessions")


class PostgresSessions:
    """See `tradebus.store.books.sessions.SessionsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._specs: dict[str, SessionSpec] = {}  # of those that are alive: no session is ever given another one

    async def spec(self, session_id: str) -> SessionSpec | None:
        found = _stored(await self._store.pool.fetchrow(_SQL["one"], session_id))
        return None if found is None else found.spec

    async def specs(self, session_ids: Collection[str]) -> dict[str, SessionSpec]:
        rows = await self._store.pool.fetch(_SQL["several"], list(session_ids))
        return {row["session_id"]: SessionSpec.model_validate(row["spec"]) for row in rows}

    async def status(self, session_id: str) -> SessionStatus | None:
        found = _stored(await self._store.pool.fetchrow(_SQL["one"], session_id))
        return None if found is None else found.status

    async def alive(self) -> list[StoredSession]:
        rows = await self._store.pool.fetch(_SQL["alive"])
        names = {row["session_id"] for row in rows}
        known = {name: spec for name, spec in self._specs.items() if name in names}
        new = names - known.keys()
        specs = self._specs = known | await self.specs(new) if new else known
        return [_session(row, specs[row["session_id"]]) for row in rows if row["session_id"] in specs]

    async def ended(self, session_ids: Collection[str]) -> list[str]:
        rows = await self._store.pool.fetch(_SQL["several"], list(session_ids))
        return [row["session_id"] for row in rows if row["status"] in ENDED]

    async def taken_up(self, service: str) -> list[TakenUp]:
        rows = await self._store.pool.fetch(_SQL["taken_up"], service, COMMANDS.name)
        return [TakenUp(SessionSpec.model_validate(row["spec"]), row["paused"]) for row in rows]

    async def standing(self, service: str) -> list[Standing]:
        rows = await self._store.pool.fetch(_SQL["standing"], service, COMMANDS.name)
        return [
            Standing(row["session_id"], SessionStatus(row["status"]), row["paused"], row["is_taken_up"]) for row in rows
        ]

    async def position_reports(self, session_id: str) -> list[Message]:
        rows = await self._store.pool.fetch(_SQL["position_reports"], session_id, ORDERS.name, list(POSITION_REPORTS))
        return [parse(row["body"].encode()) for row in rows]

    async def participate(self, transaction: Any, session_id: str, *, service: str) -> None:
        await transaction.connection.execute(_SQL["participate"], session_id, service)

    async def give_up(self, session_id: str, *, reason: str) -> None:
        await self._store.pool.execute(_SQL["give_up"], session_id, reason[:REASON_MAX])

    async def pause(self, session_id: str, *, reason: str) -> None:
        await self._store.pool.execute(_SQL["pause"], session_id, reason[:REASON_MAX])


class PostgresRegister:
    """See `tradebus.store.books.sessions.SessionRegister`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def changing(self) -> list[Changing]:
        rows = await self._store.pool.fetch(_SQL["changing"])
        return [Changing(_session(row), frozenset(row["participants"])) for row in rows]

    async def unfinished(self, session_id: str) -> int:
        count: int = await self._store.pool.fetchval(_SQL["unfinished"], session_id)
        return count

    async def awaits_look(self, session_id: str) -> bool:
        return bool(await self._store.pool.fetchval(_SQL["awaits_look"], session_id, BROKER_BOOK))

    async def last_report(self, session_id: str, types: Sequence[str]) -> Message | None:
        body = await self._store.pool.fetchval(_SQL["last_report"], session_id, SESSIONS.name, list(types))
        return None if body is None else parse(body.encode())

    async def alive_of(self, transaction: Any, user_id: str) -> StoredSession | None:
        return _stored(await transaction.connection.fetchrow(_SQL["alive_of"], user_id))

    async def latest_of(self, transaction: Any, user_id: str) -> StoredSession | None:
        return _stored(await transaction.connection.fetchrow(_SQL["latest_of"], user_id))

    async def of_command(self, transaction: Any, user_id: str, command_id: str) -> StoredSession | None:
        return _stored(await transaction.connection.fetchrow(_SQL["of_command"], user_id, command_id))

    async def command_seen(self, transaction: Any, consumer: str, message_id: str) -> bool:
        return bool(await transaction.connection.fetchval(_SQL["command_seen"], consumer, message_id))

    async def insert(self, transaction: Any, spec: SessionSpec, *, command_id: str, now_ns: int) -> None:
        await transaction.connection.execute(
            _SQL["insert"], spec.session_id, spec.user_id, spec.mode.value, spec.model_dump(mode="json"), command_id,
            now_ns,
        )  # fmt: skip

    async def set_status(
        self, transaction: Any, session_id: str, status: SessionStatus, *, reason: str | None = None
    ) -> None:
        await transaction.connection.execute(_SQL["set_status"], session_id, status, reason)

    async def begin(self, transaction: Any, session_id: str, status: SessionStatus) -> bool:
        return await transaction.connection.fetchval(_SQL["begin"], session_id, status) is not None

    async def end(
        self, transaction: Any, session_id: str, status: SessionStatus, *, seen: SessionStatus, now_ns: int, reason: str
    ) -> bool:
        ended = await transaction.connection.fetchval(_SQL["end"], session_id, status, now_ns, reason, seen)
        return ended is not None

    async def paused_while_starting(self, transaction: Any, session_id: str) -> bool:
        last = await transaction.connection.fetchval(_SQL["last_pause_command"], session_id, COMMANDS.name)
        return bool(last == "PAUSE_TRADING")

    async def outcome(self, transaction: Any, session_id: str) -> SessionOutcome:
        row = await transaction.connection.fetchrow(_SQL["outcome"], session_id)
        return SessionOutcome(row["trades"], row["net_pnl_paise"])


def _session(row: Any, spec: SessionSpec | None = None) -> StoredSession:
    spec = spec or SessionSpec.model_validate(row["spec"])
    return StoredSession(
        row["session_id"], row["user_id"], SessionStatus(row["status"]), spec, row["created_ns"], row["reason"],
        row["ended_ns"],
    )  # fmt: skip


def _stored(row: Any) -> StoredSession | None:
    return None if row is None else _session(row)
