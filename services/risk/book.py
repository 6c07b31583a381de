"""The sessions in memory, and how a step becomes durable.

Invariants (tested on real servers): the state in memory is the one in the book plus marks, and is replaced only after
the commit; every saved state says which ticks its marks include (`marked_entry_id`), so that a restart finds the rest
in the stream.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from services.risk.adapters import ledger
from services.risk.adapters.ledger import Change
from services.risk.messages import outgoing
from services.risk.metrics import POSITIONS, SESSIONS, VERDICTS
from services.risk.settings import RiskSettings
from tradebus.contracts.base import Message
from tradebus.contracts.sessions import RiskLimits
from tradebus.kernel.clock import Clock
from tradebus.risk.marking import held_instruments
from tradebus.risk.published import Line, journalled, published
from tradebus.risk.state import RiskState
from tradebus.risk.step import Step
from tradebus.risk.terms import Terms
from tradebus.risk.verdicts import Verdict
from tradebus.store.store import Store, Transaction


@dataclass(slots=True)
class Session:
    terms: Terms
    state: RiskState
    version: int
    is_over: bool = False
    # Just loaded, with positions: its marks end where the saved state says, not where the stream is now.
    is_behind: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """The tick slice handled last: the end of its event time, inclusive, and its entry."""

    watermark_ns: int = 0
    entry_id: str = "0"


class Book:
    """Owned by the one task that handles entries."""

    def __init__(self, settings: RiskSettings, *, store: Store, clock: Clock) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self.sessions: dict[str, Session] = {}
        self._held: list[int] | None = []  # None: to be counted anew
        self.cursor = Cursor()
        # Counted when somebody asks: not on the way of an approval, and right while no tick comes.
        SESSIONS.set_function(lambda: len(self.sessions))
        POSITIONS.set_function(lambda: sum(len(one.state.live()) for one in self.sessions.values()))

    async def load(self) -> None:
        """Takes every session up as the book has it."""
        self.sessions = {
            row.spec.session_id: self._session(row) for row in await ledger.load_sessions(self._store.pool)
        }
        self.count()

    async def take_up(self, message_id: str, session_id: str) -> None:
        """Begins a session; repeated, nothing changes."""
        async with self._store.begin() as tx:
            if await tx.first_time(ledger.CONSUMER, message_id):
                await ledger.take_up(tx, session_id)
        if session_id not in self.sessions:
            for row in await ledger.load_sessions(self._store.pool, session_id):
                self.sessions[session_id] = self._session(row)
        self.count()

    async def save(
        self,
        message_id: str,
        steps: Mapping[str, Step],
        *,
        also: Callable[[Transaction], Awaitable[None]] | None = None,
    ) -> bool:
        """Makes the steps of some sessions, led to by one message, durable and current. False where that message was
        handled before: nothing has changed then."""
        states = {name: self._stamped(self.sessions[name], step.state) for name, step in steps.items()}
        changes = [
            Change(name, state, self.sessions[name].version)
            for name, state in states.items()
            if state is not self.sessions[name].state
        ]
        answers = [answer for name, step in steps.items() for answer in self._answers(name, step.verdicts)]
        lines = [line for line, _ in answers]
        if also is None:
            if not await ledger.record(self._store, message_id, changes, lines, _messages(answers)):
                return False
        else:
            async with self._store.begin() as tx:
                if not await ledger.record_in(tx, message_id, changes, lines):
                    return False
                for stream, message in _messages(answers):
                    tx.emit(stream, message)
                await also(tx)
        for change in changes:
            session = self.sessions[change.session_id]
            session.state, session.version = change.state, change.version + 1
        self._made(answers)
        return True

    async def refuse(self, message_id: str, verdict: Verdict, *, session_id: str, user_id: str) -> None:
        """Journals and publishes a verdict on a session that is not here."""
        answers = [self._answer(verdict, session_id=session_id, user_id=user_id, limits=RiskLimits())]
        if await ledger.record(self._store, message_id, [], [line for line, _ in answers], _messages(answers)):
            self._made(answers)

    def forget_if_flat(self, session: Session) -> None:
        """Drops a session that is over, once nothing of it is open or on its way."""
        if session.is_over and not session.state.live():
            del self.sessions[session.terms.session_id]
        self.count()

    @property
    def held(self) -> list[int]:
        """Instruments whose ticks matter to any session."""
        if self._held is None:
            self._held = sorted({number for one in self.sessions.values() for number in held_instruments(one.state)})
        return self._held

    def count(self) -> None:
        """Call after holdings may have changed. The counting waits for the next ticks: an approval does not."""
        self._held = None

    def _session(self, row: ledger.SessionRow) -> Session:
        terms = Terms.of(
            row.spec,
            max_signal_age_seconds=self._settings.max_signal_age_seconds,
            approval_valid_seconds=self._settings.approval_valid_seconds,
        )
        behind = bool(held_instruments(row.state))
        return Session(terms, row.state, row.version, is_over=row.is_over, is_behind=behind)

    def _stamped(self, session: Session, state: RiskState) -> RiskState:
        """The state to save. One whose marks are behind keeps saying from where."""
        if state is session.state or session.is_behind:
            return state
        return replace(state, marked_ns=self.cursor.watermark_ns, marked_entry_id=self.cursor.entry_id)

    def _answers(self, session_id: str, verdicts: Sequence[Verdict]) -> list["_Answer"]:
        terms = self.sessions[session_id].terms
        return [
            self._answer(verdict, session_id=session_id, user_id=terms.user_id, limits=terms.limits)
            for verdict in verdicts
        ]

    def _answer(self, verdict: Verdict, *, session_id: str, user_id: str, limits: RiskLimits) -> "_Answer":
        fact = published(verdict, session_id=session_id, user_id=user_id, limits=limits)
        line = journalled(verdict, fact, session_id=session_id)
        return line, None if fact is None else outgoing(fact, recorded_ns=self._clock.now_ns())

    def _made(self, answers: Sequence["_Answer"]) -> None:
        for line, _ in answers:
            VERDICTS.labels(line.verdict, line.rule).inc()
        self.count()


_Answer = tuple[Line, tuple[str, Message] | None]


def _messages(answers: Sequence[_Answer]) -> list[tuple[str, Message]]:
    return [found for _, found in answers if found is not None]
