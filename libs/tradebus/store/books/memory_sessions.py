"""The sessions in memory.

Tables: "sessions" (id to `_Row`), "session_participants" ((id, service) to True). What sessions have to do with others'
work is read where those keep it: "trades" (pos_id to what has `session_id`, `ended`, `entry_quantity` and
`net_pnl_paise`) and "intents" (ids of those that execution has answered).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.contracts.streams import COMMANDS, ORDERS, SESSIONS
from tradebus.store.books.sessions import (
    BROKER_BOOK,
    ENDED,
    MAY_TRADE,
    POSITION_REPORTS,
    REASON_MAX,
    Changing,
    SessionOutcome,
    Standing,
    TakenUp,
)
from tradebus.store.memory_book import EVENTS, INBOX, EventRow, MemoryBook
from tradebus.trading.sessions import StoredSession

_PAPER = "paper"
_PAUSES = ("PAUSE_TRADING", "RESUME_TRADING")
_APPROVALS = ("ENTRY_APPROVED", "ENTRY_REDUCED", "EXIT_APPROVED")


@dataclass(frozen=True, slots=True)
class _Row:
    session: StoredSession
    command_id: str


class MemorySessions:
    """See `tradebus.store.books.sessions.SessionsBook`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def spec(self, session_id: str) -> SessionSpec | None:
        return (await self.specs([session_id])).get(session_id)

    async def specs(self, session_ids: Collection[str]) -> dict[str, SessionSpec]:
        rows = _committed(self._book, "sessions")
        return {one: rows[one].session.spec for one in session_ids if one in rows}

    async def status(self, session_id: str) -> SessionStatus | None:
        row = _committed(self._book, "sessions").get(session_id)
        return None if row is None else row.session.status

    async def alive(self) -> list[StoredSession]:
        return [one for one in _oldest_first(_committed(self._book, "sessions")) if one.status not in ENDED]

    async def ended(self, session_ids: Collection[str]) -> list[str]:
        rows = _committed(self._book, "sessions")
        return [one for one in session_ids if one in rows and rows[one].session.status in ENDED]

    async def taken_up(self, service: str) -> list[TakenUp]:
        participants, events = _committed(self._book, "session_participants"), _committed(self._book, EVENTS)
        return [
            TakenUp(one.spec, _is_paused(one, events))
            for one in _oldest_first(_committed(self._book, "sessions"))
            if one.status in MAY_TRADE and (one.session_id, service) in participants
        ]

    async def standing(self, service: str) -> list[Standing]:
        participants, events = _committed(self._book, "session_participants"), _committed(self._book, EVENTS)
        return [
            Standing(
                one.session_id, one.status, _is_paused(one, events), (one.session_id, service) in participants
            )
            for one in _oldest_first(_committed(self._book, "sessions"))
            if one.status not in ENDED
        ]  # fmt: skip

    async def position_reports(self, session_id: str) -> list[Message]:
        return _events_of(_committed(self._book, EVENTS), session_id, ORDERS.name, POSITION_REPORTS)

    async def participate(self, transaction: Any, session_id: str, *, service: str) -> None:
        if session_id not in transaction.table("sessions"):
            raise LookupError(f"session {session_id} is not in the book")
        transaction.table("session_participants")[session_id, service] = True

    async def give_up(self, session_id: str, *, reason: str) -> None:
        async with self._book.begin() as transaction:
            row = transaction.table("sessions").get(session_id)
            if row is not None and row.session.status is SessionStatus.STARTING:
                _change(transaction, session_id, {"reason": reason[:REASON_MAX]})

    async def pause(self, session_id: str, *, reason: str) -> None:
        async with self._book.begin() as transaction:
            fields = {"status": SessionStatus.PAUSED, "reason": reason[:REASON_MAX]}
            _change(transaction, session_id, fields, seen=SessionStatus.RUNNING)


class MemoryRegister:
    """See `tradebus.store.books.sessions.SessionRegister`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def changing(self) -> list[Changing]:
        participants = _committed(self._book, "session_participants")
        return [
            Changing(one, frozenset(service for session_id, service in participants if session_id == one.session_id))
            for one in _oldest_first(_committed(self._book, "sessions"))
            if one.status in (SessionStatus.STARTING, SessionStatus.STOPPING)
        ]

    async def unfinished(self, session_id: str) -> int:
        inbox, intents, trades = (
            _committed(self._book, INBOX),
            _committed(self._book, "intents"),
            _committed(self._book, "trades"),
        )
        found = [
            event.message for event in _committed(self._book, EVENTS).values() if event.message.session_id == session_id
        ]
        stops = sum(one.TYPE == "STOP_TRADING" and ("risk", one.event_id) not in inbox for one in found)
        approvals = sum(one.TYPE in _APPROVALS and getattr(one, "intent_id", None) not in intents for one in found)
        alive: int = sum(bool(trade.session_id == session_id and not trade.ended) for trade in trades.values())
        return int(stops + approvals + alive)

    async def awaits_look(self, session_id: str) -> bool:
        row = _committed(self._book, "sessions").get(session_id)
        traded = any(trade.session_id == session_id for trade in _committed(self._book, "trades").values())
        at_broker = row is not None and row.session.spec.broker != _PAPER
        return traded and at_broker and (session_id, BROKER_BOOK) not in _committed(self._book, "session_participants")

    async def last_report(self, session_id: str, types: Sequence[str]) -> Message | None:
        return _last(_committed(self._book, EVENTS), session_id, SESSIONS.name, types)

    async def alive_of(self, transaction: Any, user_id: str) -> StoredSession | None:
        found = [one for one in _of_user(transaction, user_id) if one.status not in ENDED]
        return found[-1] if found else None

    async def latest_of(self, transaction: Any, user_id: str) -> StoredSession | None:
        found = _of_user(transaction, user_id)
        return found[-1] if found else None

    async def of_command(self, transaction: Any, user_id: str, command_id: str) -> StoredSession | None:
        for row in transaction.table("sessions").values():
            if row.session.user_id == user_id and row.command_id == command_id:
                found: StoredSession = row.session
                return found
        return None

    async def command_seen(self, transaction: Any, consumer: str, message_id: str) -> bool:
        return (consumer, message_id) in transaction.table(INBOX)

    async def insert(self, transaction: Any, spec: SessionSpec, *, command_id: str, now_ns: int) -> None:
        if await self.alive_of(transaction, spec.user_id) is not None:
            raise ValueError(f"user {spec.user_id} has a session that is alive")
        session = StoredSession(spec.session_id, spec.user_id, SessionStatus.STARTING, spec, now_ns)
        transaction.table("sessions")[spec.session_id] = _Row(session, command_id)

    async def set_status(
        self, transaction: Any, session_id: str, status: SessionStatus, *, reason: str | None = None
    ) -> None:
        fields: dict[str, Any] = {"status": status} if reason is None else {"status": status, "reason": reason}
        _change(transaction, session_id, fields)

    async def begin(self, transaction: Any, session_id: str, status: SessionStatus) -> bool:
        return _change(transaction, session_id, {"status": status}, seen=SessionStatus.STARTING)

    async def end(
        self, transaction: Any, session_id: str, status: SessionStatus, *, seen: SessionStatus, now_ns: int, reason: str
    ) -> bool:
        fields = {"status": status, "ended_ns": now_ns, "reason": reason}
        return _change(transaction, session_id, fields, seen=seen)

    async def paused_while_starting(self, transaction: Any, session_id: str) -> bool:
        return _paused_last(transaction.table(EVENTS), session_id)

    async def outcome(self, transaction: Any, session_id: str) -> SessionOutcome:
        trades = [one for one in transaction.table("trades").values() if one.session_id == session_id]
        filled = [one for one in trades if one.entry_quantity > 0]
        return SessionOutcome(len(filled), sum(one.net_pnl_paise or 0 for one in filled))


def _oldest_first(rows: Mapping[str, _Row]) -> list[StoredSession]:
    return sorted((row.session for row in rows.values()), key=lambda one: (one.created_ns, one.session_id))


def _of_user(transaction: Any, user_id: str) -> list[StoredSession]:
    return [one for one in _oldest_first(transaction.table("sessions")) if one.user_id == user_id]


def _change(transaction: Any, session_id: str, fields: Mapping[str, Any], *, seen: SessionStatus | None = None) -> bool:
    table = transaction.table("sessions")
    row = table.get(session_id)
    if row is None or (seen is not None and row.session.status is not seen):
        return False
    table[session_id] = replace(row, session=replace(row.session, **fields))
    return True


def _is_paused(session: StoredSession, events: Mapping[str, EventRow]) -> bool:
    if session.status is SessionStatus.STARTING:
        return _paused_last(events, session.session_id)
    return session.status is SessionStatus.PAUSED


def _paused_last(events: Mapping[str, EventRow], session_id: str) -> bool:
    last = _last(events, session_id, COMMANDS.name, _PAUSES)
    return last is not None and last.TYPE == "PAUSE_TRADING"


def _last(events: Mapping[str, EventRow], session_id: str, stream: str, types: Iterable[str]) -> Message | None:
    found = _events_of(events, session_id, stream, types)
    return found[-1] if found else None


def _events_of(events: Mapping[str, EventRow], session_id: str, stream: str, types: Iterable[str]) -> list[Message]:
    found = [
        event.message for event in events.values()
        if event.message.session_id == session_id and event.stream == stream and event.message.TYPE in types
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.ts_event_ns, one.event_id))


def _committed(book: MemoryBook, table: str) -> Mapping[Any, Any]:
    book.database.check()
    return book.database.table(table)
