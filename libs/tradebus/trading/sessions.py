"""A session as the book of record has it: what a gateway decides from, what a store keeps, one value for both."""

from dataclasses import dataclass

from tradebus.contracts.sessions import SessionSpec, SessionStatus


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One row of the book. `reason`: why it ends or ended."""

    session_id: str
    user_id: str
    status: SessionStatus
    spec: SessionSpec
    created_ns: int
    reason: str | None = None
    ended_ns: int | None = None
