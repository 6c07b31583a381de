"""The sessions: who trades what, how each stands, and which services have taken it up.

    START ─► STARTING ─► RUNNING ◄─► PAUSED          STARTING, RUNNING, PAUSED ─ STOP ─► STOPPING ─► STOPPED
                 └─► FAILED

The gateway alone moves a session (`SessionRegister`); the other services read, say that they take part, and why they
cannot, or can no more (`SessionsBook`).

Invariants (tested on both implementations): a user has at most one session that is alive; a status is only ever left
from where it was seen; taking part twice is once.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.contracts.base import Message
from tradebus.contracts.sessions import SessionSpec, SessionStatus
from tradebus.trading.sessions import StoredSession

# As a service in `participate`: all is over, the broker's book was read since, and has nothing alive of the session.
BROKER_BOOK = "broker_book"
REASON_MAX = 400
POSITION_REPORTS = ("POSITION_OPENED", "POSITION_CLOSED")
ENDED = (SessionStatus.STOPPED, SessionStatus.FAILED)
MAY_TRADE = (SessionStatus.STARTING, SessionStatus.RUNNING, SessionStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class Changing:
    """A session that waits for its services: to take it up (STARTING) or to end it (STOPPING)."""

    session: StoredSession
    participants: frozenset[str]


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A session that a service trades. `paused`: also where PAUSE came last of the commands to one that is STARTING."""

    spec: SessionSpec
    paused: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a session that has not ended stands, for one service. `paused` as in `TakenUp`."""

    session_id: str
    status: SessionStatus
    paused: bool
    is_taken_up: bool


@dataclass(frozen=True, slots=True)
class SessionOutcome:
    """What a session came to: trades that were filled, and their net profit."""

    trades: int
    net_pnl_paise: int


class SessionsBook(Protocol):
    """What takes a transaction is part of it; what takes none sees what is committed."""

    async def spec(self, session_id: str) -> SessionSpec | None:
        """What the session was started with; None for one that is not in the book."""

    async def specs(self, session_ids: Collection[str]) -> dict[str, SessionSpec]:
        """The same for several; those that are not in the book are left out."""

    async def status(self, session_id: str) -> SessionStatus | None: ...

    async def alive(self) -> list[StoredSession]:
        """Every session that has not ended, oldest first."""

    async def ended(self, session_ids: Collection[str]) -> list[str]:
        """Those of these that are over."""

    async def taken_up(self, service: str) -> list[TakenUp]:
        """The sessions this service takes part in and that may still trade, oldest first."""

    async def standing(self, service: str) -> list[Standing]:
        """How each session that has not ended stands for this service, oldest first."""

    async def position_reports(self, session_id: str) -> list[Message]:
        """Every POSITION_OPENED and POSITION_CLOSED of the session so far, in order: the messages of `orders.v1`."""

    async def participate(self, transaction: Any, session_id: str, *, service: str) -> None:
        """Says that the service has taken the session up. Repeating it is harmless."""

    async def give_up(self, session_id: str, *, reason: str) -> None:
        """Says why a session that is STARTING cannot be taken up; the gateway ends it with that reason."""

    async def pause(self, session_id: str, *, reason: str) -> None:
        """Says that a session that is RUNNING enters nothing more, and why, where a service cannot go on with it."""


class SessionRegister(Protocol):
    """How sessions move: for the gateway alone. What takes a transaction is part of it."""

    async def changing(self) -> list[Changing]:
        """Every session that waits for its services, oldest first."""

    async def unfinished(self, session_id: str) -> int:
        """What may still happen in a session that is to stop: its STOP that risk has not handled, approvals that
        execution has not answered, trades that are not over."""

    async def awaits_look(self, session_id: str) -> bool:
        """Whether the session traded at a broker, and nobody has said since (`BROKER_BOOK`) that the broker's own book
        holds nothing of it."""

    async def last_report(self, session_id: str, types: Sequence[str]) -> Message | None:
        """The newest event on `sessions.v1` of one of the types about the session."""

    async def alive_of(self, transaction: Any, user_id: str) -> StoredSession | None: ...

    async def latest_of(self, transaction: Any, user_id: str) -> StoredSession | None:
        """The user's newest session, ended or not."""

    async def of_command(self, transaction: Any, user_id: str, command_id: str) -> StoredSession | None:
        """The session that this command of the user started."""

    async def command_seen(self, transaction: Any, consumer: str, message_id: str) -> bool:
        """Whether the inbox of `consumer` has this message."""

    async def insert(self, transaction: Any, spec: SessionSpec, *, command_id: str, now_ns: int) -> None:
        """A new session, STARTING."""

    async def set_status(
        self, transaction: Any, session_id: str, status: SessionStatus, *, reason: str | None = None
    ) -> None:
        """Moves an alive session. A reason that is None leaves the one there is."""

    async def begin(self, transaction: Any, session_id: str, status: SessionStatus) -> bool:
        """From STARTING to RUNNING or PAUSED; False where it is not STARTING any more."""

    async def end(
        self, transaction: Any, session_id: str, status: SessionStatus, *, seen: SessionStatus, now_ns: int, reason: str
    ) -> bool:
        """Ends a session from the status it was `seen` in; False where it has left that."""

    async def paused_while_starting(self, transaction: Any, session_id: str) -> bool:
        """Whether PAUSE came last of the commands that came while the session was starting."""

    async def outcome(self, transaction: Any, session_id: str) -> SessionOutcome:
        """What the session came to so far."""
