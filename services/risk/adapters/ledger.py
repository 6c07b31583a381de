"""Risk's state and journal in Postgres.

Invariants (tested on a real server): a message's inbox row, the states it changed and its verdicts are written
together or not at all, and once; a state is only ever replaced by one that was made from it.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from services.risk.adapters.codec import decode, encode
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionSpec
from tradebus.risk.published import Line
from tradebus.risk.state import RiskState
from tradebus.store.queries import load_queries
from tradebus.store.store import UNMET_REQUIREMENT, Store, Transaction, emission_columns

_SQL = load_queries("services.risk.adapters", "ledger")
CONSUMER = "risk"


class StateConflict(Exception):
    """A state in the book is not the one we hold: another risk service runs in this namespace, or ours is outdated."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    spec: SessionSpec
    state: RiskState
    version: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A session's new state, and the version of the one it replaces."""

    session_id: str
    state: RiskState
    version: int


async def load_sessions(pool: asyncpg.Pool, session_id: str | None = None) -> list[SessionRow]:
    """The sessions taken up that are alive, or over and not flat; only that one where `session_id` is given."""
    return [
        SessionRow(SessionSpec.model_validate(row["spec"]), decode(row["state"]), row["version"], row["is_over"])
        for row in await pool.fetch(_SQL["sessions"], session_id)
    ]


async def take_up(tx: Transaction, session_id: str) -> None:
    """Makes the session's empty state and reports that risk takes part; harmless when repeated."""
    await tx.connection.execute(_SQL["take_up"], session_id, encode(RiskState()))


async def record(
    store: Store,
    message_id: str,
    changes: Sequence[Change],
    lines: Sequence[Line],
    messages: Sequence[tuple[str, Message]],
) -> bool:
    """Writes a message's effect, messages to publish included, in one statement. False, and nothing written, where it
    was handled before. Raises StateConflict."""
    with _conflict(changes):
        row = await store.record(_SQL["record"], *_columns(message_id, changes, lines), messages=messages)
    return bool(row["first_time"])


async def record_in(tx: Transaction, message_id: str, changes: Sequence[Change], lines: Sequence[Line]) -> bool:
    """As `record`, within a transaction that does more; the caller emits."""
    nothing = ("", *emission_columns([], []))
    with _conflict(changes):
        row = await tx.connection.fetchrow(_SQL["record"], *_columns(message_id, changes, lines), *nothing)
    return bool(row["first_time"])


def _columns(message_id: str, changes: Sequence[Change], lines: Sequence[Line]) -> tuple[object, ...]:
    return (
        CONSUMER,
        message_id,
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
def _conflict(changes: Sequence[Change]) -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != UNMET_REQUIREMENT:
            raise
        names = ", ".join(change.session_id for change in changes)
        raise StateConflict(f"risk_state of {names}: not the version this service has read") from error


async def engage_kill_switch(tx: Transaction, *, reason: str, changed_ns: int) -> bool:
    """Engages the switch, unless a person released it since; True where it stands engaged now."""
    await tx.connection.execute(_SQL["engage_kill_switch"], reason, changed_ns)
    return bool(await tx.connection.fetchval(_SQL["killed"]))


async def is_killed(pool: asyncpg.Pool) -> bool:
    return bool(await pool.fetchval(_SQL["killed"]))
