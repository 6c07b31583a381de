"""The sessions in memory, and how a step becomes durable.

Invariants (tested on both books): the state in memory is the one in the book plus marks and what is kept to be stored;
nothing is published before it is stored; every saved state says which ticks its marks include (`marked_entry_id`), so
that a restart finds the rest in the stream.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from services.risk.messages import outgoing
from services.risk.metrics import RiskMetrics
from services.risk.ports import MessageEffect, RiskBook, SessionRow, StateChange, StateConflict, UnreadableRow
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import RiskLimits, SessionSpec
from tradebus.kernel.clock import Clock
from tradebus.risk.marking import held_instruments
from tradebus.risk.published import JournalLine, journalled, published
from tradebus.risk.state import RiskState
from tradebus.risk.step import RiskStep
from tradebus.risk.terms import SessionTerms
from tradebus.risk.verdicts import Verdict

PAPER = "paper"
_log = structlog.get_logger()


@dataclass(slots=True)
class RiskSession:
    terms: SessionTerms
    state: RiskState
    version: int
    account: str  # where it trades
    is_over: bool = False
    has_live_feed: bool = False
    # Just loaded, with positions: its marks end where the saved state says, not where the stream is now.
    is_behind: bool = False
    problem: str = ""  # why its profit cannot be told: no entries while it cannot
    _held: tuple[RiskState, frozenset[int]] | None = None

    @property
    def held(self) -> frozenset[int]:
        """Instruments whose ticks matter to it."""
        if self._held is None or self._held[0] is not self.state:
            self._held = self.state, frozenset(held_instruments(self.state))
        return self._held[1]


@dataclass(frozen=True, slots=True)
class EndedSession:
    """One that is over: what it lost counts for the rest of its day."""

    account: str
    user_id: str
    state: RiskState


def account_of(spec: SessionSpec) -> str:
    """The account that a session trades in: its login, or the one of all paper sessions."""
    return PAPER if spec.broker == PAPER else spec.credential or spec.broker


@dataclass(frozen=True, slots=True)
class Cursor:
    """The tick slice handled last: the end of its event time, inclusive, and its entry."""

    watermark_ns: int = 0
    entry_id: str = "0"


class RiskSessions:
    """Owned by the one task that handles entries."""

    def __init__(
        self, book: RiskBook, *, clock: Clock, metrics: RiskMetrics, max_signal_age_seconds: int,
        approval_valid_seconds: int,
    ) -> None:  # fmt: skip
        self._book, self._clock, self._metrics = book, clock, metrics
        self._max_signal_age_seconds = max_signal_age_seconds
        self._approval_valid_seconds = approval_valid_seconds
        self.alive: dict[str, RiskSession] = {}
        self.unreadable: dict[str, str] = {}  # what is wrong with their rows
        self.ended: dict[str, EndedSession] = {}  # this day's
        self.is_loaded = False
        self._held: list[int] | None = []  # None: to be counted anew
        self.cursor = Cursor()
        self._unstored: list[MessageEffect] = []
        # Counted when somebody asks: not on the way of an approval, and right while no tick comes.
        metrics.sessions.set_function(lambda: len(self.alive))
        metrics.positions.set_function(lambda: sum(len(one.state.live()) for one in self.alive.values()))
        metrics.aside.set_function(
            lambda: len(self.unreadable) + sum(bool(one.problem) for one in self.alive.values())
        )  # fmt: skip

    async def load(self) -> None:
        """Takes every session up as the book has it; what was kept and not stored is forgotten."""
        self._unstored.clear()
        self.alive, self.unreadable = {}, {}
        self._take(await self._book.sessions())
        self.ended = {
            row.spec.session_id: EndedSession(account_of(row.spec), row.spec.user_id, row.state)
            for row in await self._book.ended_lately()
        }
        self.is_loaded = True

    async def take_up(self, message_id: str, session_id: str) -> None:
        """Begins a session; repeated, nothing changes."""
        await self._book.take_up(message_id, session_id)
        if session_id not in self.alive:
            self._take(await self._book.sessions(session_id))

    def keep(self, message_id: str, steps: Mapping[str, RiskStep]) -> int:
        """Makes the steps of some sessions, led to by one message, current. They are durable, and what they led to is
        published, with the next `store`; how many messages wait for it."""
        record = self._record(message_id, steps)
        self._unstored.append(record)
        self._replace(record)
        return len(self._unstored)

    async def store(self) -> None:
        """Makes what was kept durable, all together. Raises StateConflict, also where one of the messages was handled
        before: memory is not what the book says then."""
        if not self._unstored:
            return
        records, self._unstored = self._unstored, []
        try:
            first_times = await self._book.record_all(records)
        except BaseException:
            self._unstored[:0] = records
            raise
        if not all(first_times):
            raise StateConflict("a message that was handled before has come again, among others")
        self._tally(records)

    async def save(self, message_id: str, steps: Mapping[str, RiskStep]) -> bool:
        """Makes the steps of some sessions, led to by one message, durable and current, after what was kept. False
        where that message was handled before: nothing has changed then. Raises StateConflict."""
        await self.store()
        record = self._record(message_id, steps)
        if not await self._book.record(record):
            return False
        self._replace(record)
        self._tally([record])
        return True

    async def save_kill(self, message_id: str, steps: Mapping[str, RiskStep], *, reason: str, changed_ns: int) -> bool:
        """As `save`, engaging the kill switch with it; whether it stands engaged."""
        await self.store()
        record = self._record(message_id, steps)
        stands = await self._book.record_kill(record, reason=reason, changed_ns=changed_ns)
        if stands is None:
            return False
        self._replace(record)
        self._tally([record])
        return stands

    async def refuse(self, message_id: str, verdict: Verdict, *, session_id: str, user_id: str) -> None:
        """Journals and publishes a verdict on a session that is not here."""
        await self.store()
        answer = _answer(
            verdict, session_id=session_id, user_id=user_id, limits=RiskLimits(), recorded_ns=self._clock.now_ns()
        )
        record = MessageEffect(message_id, (), [answer[0]], _messages([answer]))
        if await self._book.record(record):
            self._tally([record])

    def forget_if_flat(self, session: RiskSession) -> None:
        """Drops a session that is over, once nothing of it is open or on its way."""
        if session.is_over and not session.state.live():
            del self.alive[session.terms.session_id]
            day = session.state.day
            self.ended = {name: one for name, one in self.ended.items() if one.state.day >= day}
            terms = session.terms
            self.ended[terms.session_id] = EndedSession(session.account, terms.user_id, session.state)
        self.count()

    @property
    def held(self) -> list[int]:
        """Instruments whose ticks matter to any session."""
        if self._held is None:
            self._held = sorted({number for one in self.alive.values() for number in one.held})
        return self._held

    def count(self) -> None:
        """Call after holdings may have changed. The counting waits for the next ticks: an approval does not."""
        self._held = None

    def _take(self, rows: Iterable[SessionRow | UnreadableRow]) -> None:
        for row in rows:
            if isinstance(row, UnreadableRow):
                self.unreadable[row.session_id] = row.problem
                _log.error("session put aside: its row cannot be read", session_id=row.session_id, problem=row.problem)
                continue
            terms = SessionTerms.of(
                row.spec,
                max_signal_age_seconds=self._max_signal_age_seconds,
                approval_valid_seconds=self._approval_valid_seconds,
            )
            behind = bool(held_instruments(row.state))
            self.alive[terms.session_id] = RiskSession(
                _in_force(terms, row.state), row.state, row.version, account_of(row.spec), is_over=row.is_over,
                has_live_feed=row.spec.data_broker is not None, is_behind=behind,
            )  # fmt: skip
        self.count()

    def _record(self, message_id: str, steps: Mapping[str, RiskStep]) -> MessageEffect:
        changes, answers, now_ns = [], list[_Answer](), self._clock.now_ns()
        for name, step in steps.items():
            session, state = self.alive[name], step.state
            if state is not session.state:
                if not session.is_behind:  # one whose marks are behind keeps saying from where
                    state = replace(state, marked_ns=self.cursor.watermark_ns, marked_entry_id=self.cursor.entry_id)
                changes.append(StateChange(name, state, session.version))
            terms = session.terms
            answers += [
                _answer(one, session_id=name, user_id=terms.user_id, limits=terms.limits, recorded_ns=now_ns)
                for one in step.verdicts
            ]
        return MessageEffect(message_id, changes, [line for line, _ in answers], _messages(answers))

    def _replace(self, record: MessageEffect) -> None:
        for change in record.changes:
            session = self.alive[change.session_id]
            if change.state.limits is not session.state.limits:
                session.terms = _in_force(session.terms, change.state)
            session.state, session.version = change.state, change.version + 1
        self.count()

    def _tally(self, records: Sequence[MessageEffect]) -> None:
        for line in (line for record in records for line in record.lines):
            self._metrics.verdicts.labels(line.verdict, line.rule).inc()


def _in_force(terms: SessionTerms, state: RiskState) -> SessionTerms:
    """The terms with the limits that were set while the session ran."""
    return terms if state.limits is None else terms.with_limits(state.limits, state.strategy_limits)


_Answer = tuple[JournalLine, tuple[str, Message] | None]


def _answer(verdict: Verdict, *, session_id: str, user_id: str, limits: RiskLimits, recorded_ns: int) -> _Answer:
    fact = published(verdict, session_id=session_id, user_id=user_id, limits=limits)
    line = journalled(verdict, fact, session_id=session_id)
    return line, None if fact is None else outgoing(fact, recorded_ns=recorded_ns)


def _messages(answers: Sequence[_Answer]) -> list[tuple[str, Message]]:
    return [found for _, found in answers if found is not None]
