"""What risk asks of its book. Two implementations, Postgres and memory, pass one test suite.

Invariants (tested on both): a message's inbox row, the states it changed, its verdicts and what it publishes are
written together or not at all, and once; a state is only ever replaced by one that was made from it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tradebus.contracts.base import Message
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec
from tradebus.risk.published import JournalLine
from tradebus.risk.rules.headroom import Headroom
from tradebus.risk.state import RiskState
from tradebus.trading.size.daily_range import DailyBar


class StateConflict(Exception):
    """A state in the book is not the one we hold: another risk service runs in this namespace, or ours is outdated."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    spec: SessionSpec
    state: RiskState
    version: int
    is_over: bool


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A session whose row cannot be read: `problem` is for people."""

    session_id: str
    problem: str


@dataclass(frozen=True, slots=True)
class StateChange:
    """A session's new state, and the version of the one it replaces."""

    session_id: str
    state: RiskState
    version: int


@dataclass(frozen=True, slots=True)
class MessageEffect:
    """One message's effect. `messages`: the stream and the message, in the order in which they are published."""

    message_id: str
    changes: Sequence[StateChange] = ()
    lines: Sequence[JournalLine] = ()
    messages: Sequence[tuple[str, Message]] = ()


@dataclass(frozen=True, slots=True)
class SessionHeadroom:
    """How far a session was from its limits, at the market data of `as_of_ns`."""

    session_id: str
    as_of_ns: int
    rooms: Sequence[Headroom]

    def to_json(self) -> str:
        return json.dumps([
            {
                "scope": one.scope, "limit": one.limit, "used": one.used, "most": one.most, "unit": one.unit,
                "left": one.left, "share": round(one.share, 4),
            }
            for one in self.rooms
        ])  # fmt: skip


class RiskBook(Protocol):
    async def sessions(self, session_id: str | None = None) -> list[SessionRow | UnreadableRow]:
        """The sessions taken up that are alive, or over and not flat; only that one where `session_id` is given."""

    async def ended_lately(self) -> list[SessionRow]:
        """The sessions that are over and flat, and were of the newest day that any session has come to."""

    async def take_up(self, message_id: str, session_id: str) -> None:
        """Makes the session's empty state and says that risk takes part, once for a message; harmless when repeated."""

    async def record(self, record: MessageEffect) -> bool:
        """False, and nothing written, where the message was handled before. Raises StateConflict."""

    async def record_all(self, records: Sequence[MessageEffect]) -> list[bool]:
        """As `record` for each, in order, all written together or not at all."""

    async def record_kill(self, record: MessageEffect, *, reason: str, changed_ns: int) -> bool | None:
        """As `record`, and engages the kill switch, unless a person released it since `changed_ns`; whether it stands
        engaged then, None where the message was handled before."""

    async def tell_headroom(self, changed: Sequence[SessionHeadroom], *, gone: Sequence[str]) -> None:
        """Puts these in place of what was told before, and forgets the sessions that are gone."""

    async def is_killed(self) -> bool:
        """Whether the kill switch stands engaged."""

    async def instruments(self) -> list[Instrument]:
        """Everything registered."""

    async def day_bars(self, instrument: int, *, before_ns: int) -> list[DailyBar]:
        """The newest days of its candles before that of `before_ns`, as many as a daily range needs, oldest first."""

    async def open_gaps(self) -> dict[str, tuple[int, ...]]:
        """Gaps of market data that were told of and are not filled: their ids, and the instruments that miss data."""

    async def unheard(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        """Reports, commands, ends and exit signals of these sessions and positions, and of every session that starts
        or stops, that risk has not handled; in order."""

    async def untaken(self, session_ids: Sequence[str], pos_ids: Sequence[str]) -> list[Message]:
        """Approvals of these sessions and positions, and of every session that stops, that execution has not taken; in
        order."""
