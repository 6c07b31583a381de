"""Risk's book in Postgres (`services.risk.ports.RiskBook`)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog

from services.risk.adapters.codec import decode, encode
from services.risk.ports import MessageEffect, SessionHeadroom, SessionRow, StateChange, StateConflict, UnreadableRow
from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_midnight_ns
from tradebus.risk.state import RiskState
from tradebus.runtime.consuming.handling import reason_of
from tradebus.store.books import kill_switch_book, sessions_book
from tradebus.store.instruments import load_instruments
from tradebus.store.queries import load_queries
from tradebus.store.store import UNMET_REQUIREMENT, Store, emission_columns
from tradebus.trading.size.daily_range import ATR_DAYS, LOOK_BACK_DAYS, DailyBar

_SQL = load_queries("services.risk.adapters", "postgres")
CONSUMER = "risk"
PAUSES = ("PAUSE_TRADING", "RESUME_TRADING")
_log = structlog.get_logger()
# In the order in which those of one instant are taken: what a position grew by before its end.
REPORTS = (
    "ORDER_PARTIALLY_FILLED", "ORDER_FILLED", "POSITION_OPENED", "ORDER_REJECTED", "ORDER_CANCELLED", "POSITION_CLOSED",
)  # fmt: skip
COMMANDS = (
    "START_TRADING", "SET_LIMITS", "PAUSE_TRADING", "RESUME_TRADING", "FLATTEN", "APPROVE_ENTRY", "REFUSE_ENTRY",
    "STOP_TRADING", "SESSION_STOPPED", "SESSION_FAILED",
)  # fmt: skip
# What risk has to hear, in that order. An entry signal that is lost is an occasion missed; an exit is somebody's wish
# to be out, and is not decided twice.
HEARD = (*REPORTS, *COMMANDS, "EXIT_SIGNAL")


class PostgresRiskBook:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._sessions, self._switch = sessions_book(store), kill_switch_book(store)

    async def sessions(self, session_id: str | None = None) -> list[SessionRow | UnreadableRow]:
        return [_session(row) for row in await self._store.pool.fetch(_SQL["sessions"], session_id)]

    async def ended_lately(self) -> list[SessionRow]:
        rows = [_session(row) for row in await self._store.pool.fetch(_SQL["ended_lately"])]
        return [row for row in rows if isinstance(row, SessionRow)]

    async def take_up(self, message_id: str, session_id: str) -> None:
        async with self._store.begin() as tx:
            if await tx.first_time(CONSUMER, message_id):
                await tx.connection.execute(_SQL["new_state"], session_id, encode(RiskState()))
                await self._sessions.participate(tx, session_id, service=CONSUMER)

    async def record(self, record: MessageEffect) -> bool:
        """In one statement: a round trip and a commit."""
        return (await self.record_all([record]))[0]

    async def record_all(self, records: Sequence[MessageEffect]) -> list[bool]:
        with _conflict([change for record in records for change in record.changes]):
            rows = await self._store.record_each(
                _SQL["record"], [(_columns(record), record.messages) for record in records]
            )
        return [bool(row["first_time"]) for row in rows]

    async def record_kill(self, record: MessageEffect, *, reason: str, changed_ns: int) -> bool | None:
        nothing = ("", *emission_columns([], []))
        async with self._store.begin() as tx:
            with _conflict(record.changes):
                row = await tx.connection.fetchrow(_SQL["record"], *_columns(record), *nothing)
            if not row["first_time"]:
                return None
            for stream, message in record.messages:
                tx.emit(stream, message)
            stands = await self._switch.engage(
                tx, reason=reason, at_ns=changed_ns, unless_released_since_ns=changed_ns
            )  # fmt: skip
            return stands.engaged

    async def tell_headroom(self, changed: Sequence[SessionHeadroom], *, gone: Sequence[str]) -> None:
        await self._store.pool.execute(
            _SQL["tell_headroom"], [one.session_id for one in changed], [one.as_of_ns for one in changed],
            [one.to_json() for one in changed], list(gone),
        )  # fmt: skip

    async def is_killed(self) -> bool:
        stands = await self._switch.read()
        return stands is not None and stands.engaged

    async def instruments(self) -> list[Instrument]:
        return list(await load_instruments(self._store.pool))

    async def day_bars(self, instrument: int, *, before_ns: int) -> list[DailyBar]:
        before = datetime.fromtimestamp(ist_midnight_ns(before_ns) // NANOSECONDS_PER_SECOND, UTC)
        since = before - timedelta(days=LOOK_BACK_DAYS)
        rows = await self._store.pool.fetch(_SQL["day_bars"], instrument, before, ATR_DAYS + 1, since)
        return [DailyBar(**dict(row)) for row in rows]

    async def open_gaps(self) -> dict[str, tuple[int, ...]]:
        return {row["gap_id"]: tuple(row["instruments"]) for row in await self._store.pool.fetch(_SQL["open_gaps"])}

    async def unheard(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        rows = await self._store.pool.fetch(_SQL["unheard"], list(session_ids), list(pos_ids), list(HEARD), CONSUMER)
        return _readable(rows)

    async def untaken(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        rows = await self._store.pool.fetch(_SQL["untaken"], list(session_ids), list(pos_ids))
        return _readable(rows)


def _session(row: asyncpg.Record) -> SessionRow | UnreadableRow:
    try:
        spec, state = SessionSpec.model_validate(row["spec"]), decode(row["state"])
    except ValueError as error:
        return UnreadableRow(row["session_id"], reason_of(error))
    return SessionRow(spec, state, row["version"], row["is_over"])


def _readable(rows: Sequence[asyncpg.Record]) -> list[Message]:
    found = []
    for row in rows:
        try:
            found.append(parse(json.dumps(row["body"]).encode()))
        except ValueError as error:  # of another version of this software
            _log.error("an event in the book cannot be read", problem=reason_of(error))
    return found


def _columns(record: MessageEffect) -> tuple[object, ...]:
    changes, lines = record.changes, record.lines
    return (
        CONSUMER,
        record.message_id,
        [change.session_id for change in changes],
        [encode(change.state) for change in changes],
        [change.version for change in changes],
        [line.event_id for line in lines],
        [line.session_id for line in lines],
        [line.signal_id for line in lines],
        [line.pos_id for line in lines],
        [line.verdict for line in lines],
        [line.rule for line in lines],
        [line.quantity for line in lines],
        [line.ts_event_ns for line in lines],
        [json.dumps(line.body) for line in lines],
    )


@contextmanager
def _conflict(changes: Sequence[StateChange]) -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != UNMET_REQUIREMENT:
            raise
        names = ", ".join(change.session_id for change in changes)
        raise StateConflict(f"risk_state of {names}: not the version this service has read") from error
