"""Risk in the engine: the same steps, every session's state in memory.

facts of execution ─┐
ticks of a slice   ─┼─► step ─► state, verdicts ─► intents
signals            ─┘
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.market import Slice
from tradebus.engine.record import Record
from tradebus.engine.tape import Tape
from tradebus.risk.commands import Command
from tradebus.risk.marking import held_instruments, select
from tradebus.risk.published import journalled, published
from tradebus.risk.reports import Report, concerns_risk
from tradebus.risk.state import RiskState
from tradebus.risk.step import Step, on_command, on_fact, on_signal, on_ticks
from tradebus.risk.terms import Situation, Terms
from tradebus.trading.facts import (
    EntrySignal,
    ExitSignal,
    Fact,
    Intent,
    OrderCancelled,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
    PositionClosed,
    PositionOpened,
)

_REPORTS = (PositionOpened, PositionClosed, OrderFilled, OrderPartiallyFilled, OrderCancelled, OrderRejected)
TapeOf = Callable[[int, Slice], Tape]


@dataclass(slots=True)
class _Session:
    terms: Terms
    state: RiskState
    held: list[int]  # instruments whose ticks matter


class EngineRisk:
    """`max_signal_age_seconds` and `approval_valid_seconds` as the risk service has them."""

    def __init__(
        self, sessions: Sequence[SessionSpec], instruments: Mapping[int, Instrument], *, tape_of: TapeOf,
        record: Record, max_signal_age_seconds: int, approval_valid_seconds: int,
    ) -> None:  # fmt: skip
        self._instruments, self._tape_of, self._record = instruments, tape_of, record
        self._sessions = {
            spec.session_id: _Session(
                Terms.of(
                    spec, max_signal_age_seconds=max_signal_age_seconds, approval_valid_seconds=approval_valid_seconds
                ),
                RiskState(),
                [],
            )
            for spec in sessions
        }
        self._intents: list[Intent] = []
        self.data_ns = 0

    def drain(self) -> list[Intent]:
        """What has been approved since the last call, in order."""
        intents, self._intents = self._intents, []
        return intents

    def on_fact(self, fact: Fact) -> None:
        session = self._sessions[fact.session_id]
        if not isinstance(fact, _REPORTS) or not concerns_risk(fact):
            return
        report: Report = fact
        step = on_fact(session.state, report, self._situation(session))
        if step.state is not session.state:
            self._take(session, step)

    def on_signal(self, signal: EntrySignal | ExitSignal) -> None:
        session = self._sessions[signal.session_id]
        self._take(session, on_signal(session.state, signal, self._situation(session)))

    def on_ticks(self, step: Slice) -> None:
        """Marks every session that holds something by the slice's ticks."""
        self.data_ns = step.end_ns - 1
        for session in self._sessions.values():
            if session.held:
                ticks = self._ticks(session.held, step)
                self._take(session, on_ticks(session.state, ticks, self._situation(session), end_ns=step.end_ns))

    def on_command(self, command: Command) -> None:
        """One command to every session."""
        for session in self._sessions.values():
            self._take(session, on_command(session.state, command, self._situation(session)))

    def _ticks(self, held: Sequence[int], step: Slice) -> Records:
        parts = []
        for instrument in held:
            tape = self._tape_of(instrument, step)
            first, last = tape.span(step.number)
            parts.append(tape.records[first:last])
        if len(parts) == 1:
            return parts[0]
        return select(np.concatenate(parts) if parts else np.zeros(0, TICK), held)

    def _take(self, session: _Session, step: Step) -> None:
        if step.state is not session.state:
            session.state = step.state
            session.held = sorted(held_instruments(step.state))
        for verdict in step.verdicts:
            terms = session.terms
            fact = published(verdict, session_id=terms.session_id, user_id=terms.user_id, limits=terms.limits)
            self._record.verdict(journalled(verdict, fact, session_id=terms.session_id), user_id=terms.user_id)
            if isinstance(fact, Intent):
                self._intents.append(fact)

    def _situation(self, session: _Session) -> Situation:
        return Situation(
            terms=session.terms, instruments=self._instruments, killed=False, data_ns=self.data_ns, paced=True
        )
