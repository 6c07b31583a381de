"""Rows of `sessions` and what the gateway reads about them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.gateway.domain.lifecycle import Session, Status
from tradebus.contracts.base import Message
from tradebus.contracts.registry import parse
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.store.queries import load_queries

SQL = load_queries("services.gateway.sql", "sessions")
CONSUMER = "gateway.commands"


@dataclass(frozen=True, slots=True)
class Changing:
    """A session that waits for its services: to take it up (STARTING) or to end it (STOPPING)."""

    session: Session
    reason: str | None
    participants: frozenset[str]


def session_of(row: Any) -> Session | None:
    """The session in a row of the session queries; None for no row."""
    if row is None:
        return None
    return Session(row["session_id"], row["user_id"], Status(row["status"]), SessionSpec.model_validate(row["spec"]))


async def alive_session(connection: Any, user_id: str) -> Session | None:
    return session_of(await connection.fetchrow(SQL["alive_session"], user_id))


async def latest_session(connection: Any, user_id: str) -> Session | None:
    return session_of(await connection.fetchrow(SQL["latest_session"], user_id))


async def session_of_command(connection: Any, user_id: str, command_id: str) -> Session | None:
    return session_of(await connection.fetchrow(SQL["session_of_command"], user_id, command_id))


async def insert_session(connection: Any, spec: SessionSpec, *, command_id: str, now_ns: int) -> None:
    await connection.execute(
        SQL["insert_session"], spec.session_id, spec.user_id, spec.mode.value, spec.model_dump(mode="json"), command_id,
        now_ns,
    )  # fmt: skip


async def changing_sessions(connection: Any) -> list[Changing]:
    found = []
    for row in await connection.fetch(SQL["changing_sessions"]):
        session = session_of(row)
        if session is not None:
            found.append(Changing(session, row["reason"], frozenset(row["participants"])))
    return found


async def paused_while_starting(connection: Any, session_id: str) -> bool:
    """Whether PAUSE came last of the commands that came while the session was starting."""
    return bool(await connection.fetchval(SQL["last_pause_command"], session_id, COMMANDS.name) == "PAUSE_TRADING")


async def last_report(connection: Any, session_id: str, types: Sequence[str]) -> Message | None:
    """The newest event on `sessions.v1` of one of the types about the session."""
    row = await connection.fetchrow(SQL["last_report"], session_id, SESSIONS.name, list(types))
    return None if row is None else parse(json.dumps(row["body"]).encode())
