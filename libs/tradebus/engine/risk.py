"""Risk in the engine: the same steps, every session's state in memory.

facts of execution ─┐
ticks of a slice   ─┼─► step ─► state, verdicts ─► intents
signals            ─┘
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.market import Slice
from tradebus.engine.recording.record import Record
from tradebus.engine.tape import Tape, TapeOf
from tradebus.kernel.time import NEVER_NS
from tradebus.risk.commands import Command
from tradebus.risk.marking import held_instruments, select
from tradebus.risk.published import published
from tradebus.risk.reports import concerns_risk
from tradebus.risk.rules.losses.capital_gone import watched_loss_paise
from tradebus.risk.state import RiskHolding, RiskState
from tradebus.risk.step import RiskStep, on_command, on_fact, on_signal, on_ticks
from tradebus.risk.terms import DailyRanges, LastTraded, SessionTerms, Situation
from tradebus.risk.verdicts import VerdictKind
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
_INTENDED = (VerdictKind.ALLOW, VerdictKind.REDUCE, VerdictKind.EXIT)  # what execution hears of


@dataclass(slots=True)
class _Leg:
    """One open position: its profit at a price is slope × price + offset, in paise."""

    instrument: int
    slope: int
    offset_paise: int
    last_paise: int  # its profit at the last price seen; 0 before the first

    def worst_paise(self, tape: Tape, number: int) -> int:
        """The least profit it can have had in a slice, the price before it included."""
        found = tape.range_of(number)
        if found is None:
            return self.last_paise
        low, high, last = found
        worst = self.slope * (low if self.slope > 0 else high) + self.offset_paise
        before, self.last_paise = self.last_paise, self.slope * last + self.offset_paise
        return min(worst, before)


@dataclass(slots=True)
class _Session:
    terms: SessionTerms
    state: RiskState = field(default_factory=RiskState)
    held: list[int] = field(default_factory=list)  # instruments whose ticks matter
    legs: list[_Leg] = field(default_factory=list)
    realised_paise: int = 0
    due_ns: int = NEVER_NS  # when a slice must be looked at, whatever its prices
    since: int | None = None  # the first slice that is not marked yet
    quiet_to: int = 0  # no price of the day's slices before this one reaches the limit

    def look(self) -> None:
        """Notes what decides whether a slice can be put off."""
        state, self.quiet_to = self.state, 0
        self.held = sorted(held_instruments(state))
        if not self.held:
            return
        self.realised_paise = sum(state.realised.values())
        open_ = [holding for holding in state.holdings.values() if holding.open]
        self.legs = [_leg(holding) for holding in open_]
        ends = [holding.hard_end_ns for holding in open_ if holding.hard_end_ns is not None]
        judged = self.terms.has_part_limits  # at the end of every slice
        ending = any(holding.opened_ns is not None and not holding.live for holding in state.holdings.values())
        leaving = any(holding.exit_due is not None for holding in open_)
        self.due_ns = 0 if ending or leaving or judged else min(ends, default=NEVER_NS)

    def may_breach(self, tape_of: TapeOf, step: Slice) -> bool:
        """Whether a price of the slice may reach the limit."""
        limit_paise = watched_loss_paise(self.terms, self.state)
        if limit_paise is None:
            return False
        worst = [leg.worst_paise(tape_of(leg.instrument, step), step.number) for leg in self.legs]
        return self.realised_paise + sum(worst) <= -limit_paise

    def quiet_after(self, tape_of: TapeOf, step: Slice) -> int:
        """The first slice after `step` whose prices reach the limit, found over the rest of the day at once where there
        is one position."""
        limit_paise = watched_loss_paise(self.terms, self.state)
        if limit_paise is None:
            return NEVER_NS
        if len(self.legs) != 1:
            return step.number + 1
        leg = self.legs[0]
        tape = tape_of(leg.instrument, step)
        lowest, highest = tape.extremes
        worst = leg.slope * (lowest if leg.slope > 0 else highest)[step.number + 1 - tape.first_slice :]
        reached = worst + (leg.offset_paise + self.realised_paise) <= -limit_paise
        return step.number + 1 + int(reached.argmax()) if reached.any() else NEVER_NS


def _leg(holding: RiskHolding) -> _Leg:
    rest = holding.entry_quantity - holding.exit_quantity
    sign = holding.side.sign
    offset_paise = sign * (holding.exit_value_paise - holding.entry_value_paise)
    return _Leg(holding.instrument, sign * rest, offset_paise, holding.unrealised_paise)


class EngineRisk:
    """`max_signal_age_seconds` and `approval_valid_seconds` as the risk service has them."""

    def __init__(
        self, sessions: Sequence[SessionSpec], instruments: Mapping[int, Instrument], *, tape_of: TapeOf,
        day_ticks_of: Callable[[int, Slice], Records], ranges: DailyRanges, record: Record, max_signal_age_seconds: int,
        approval_valid_seconds: int, marks_every_slice: bool,
    ) -> None:  # fmt: skip
        self._instruments, self._tape_of, self._record = instruments, tape_of, record
        self._day_ticks_of, self._ranges = day_ticks_of, ranges
        self._sessions = {
            spec.session_id: _Session(
                SessionTerms.of(
                    spec, max_signal_age_seconds=max_signal_age_seconds, approval_valid_seconds=approval_valid_seconds
                )
            )
            for spec in sessions
        }
        self._marks_every_slice = marks_every_slice
        self._intents: list[Intent] = []
        self._reached: Slice | None = None  # the last slice whose ticks have gone by
        self.data_ns = 0

    def next_due(self, number: int, ends_ns: Sequence[int]) -> int:
        """The first slice, from `number` on, that has to be looked at; `ends_ns` are the ends of the day's slices."""
        if self._intents or self._marks_every_slice:
            return number
        due = len(ends_ns)
        for session in self._sessions.values():
            if session.held:
                due = min(due, session.quiet_to, bisect_left(ends_ns, session.due_ns))
        return max(due, number)

    def pass_over(self, first: int, step: Slice) -> None:
        """The slices from `first` to `step`, in none of which anything is due, have gone by."""
        self._reached, self.data_ns = step, step.end_ns - 1
        for session in self._sessions.values():
            if session.held and session.since is None:
                session.since = first

    def of(self, instrument: int) -> LastTraded | None:
        """The last tick of the day that has gone by (`tradebus.risk.terms.LastTicks`)."""
        if self._reached is None:
            return None
        ticks = self._day_ticks_of(instrument, self._reached)
        place = int(np.searchsorted(ticks["ts_event_ns"], self._reached.end_ns)) - 1
        if place < 0:
            return None
        row = ticks[place]
        return LastTraded(
            int(row["ts_event_ns"]), int(row["price_paise"]), int(row["bid_paise"]), int(row["ask_paise"])
        )  # fmt: skip

    def drain(self) -> list[Intent]:
        """What has been approved since the last call, in order."""
        intents, self._intents = self._intents, []
        return intents

    def on_fact(self, fact: Fact) -> None:
        if not isinstance(fact, _REPORTS) or not concerns_risk(fact):
            return
        session, report = self._marked(fact.session_id), fact
        step = on_fact(session.state, report, self._situation(session))
        if step.state is not session.state:
            self._take(session, step)

    def on_signal(self, signal: EntrySignal | ExitSignal) -> None:
        session = self._marked(signal.session_id)
        self._take(session, on_signal(session.state, signal, self._situation(session)))

    def on_ticks(self, step: Slice) -> None:
        """A slice's ticks have gone by."""
        before, self._reached = self._reached, step
        self.data_ns = step.end_ns - 1
        for session in self._sessions.values():
            if not session.held:
                continue
            if (
                not self._marks_every_slice
                and step.end_ns < session.due_ns
                and not session.may_breach(self._tape_of, step)
            ):
                session.since = step.number if session.since is None else session.since
                session.quiet_to = session.quiet_after(self._tape_of, step)
                continue
            if session.since is not None and before is not None:
                self._mark(session, session.since, before)
            self._mark(session, step.number, step)

    def end_day(self) -> None:
        """The day's ticks are about to go: what was put off is marked."""
        for session_id in self._sessions:
            self._marked(session_id).quiet_to = 0

    def on_command(self, command: Command) -> None:
        """One command to every session."""
        for session_id in self._sessions:
            session = self._marked(session_id)
            self._take(session, on_command(session.state, command, self._situation(session)))

    def _marked(self, session_id: str) -> _Session:
        """The session, its state as of the last slice."""
        session = self._sessions[session_id]
        if session.since is not None and self._reached is not None:
            self._mark(session, session.since, self._reached)
        return session

    def _mark(self, session: _Session, first: int, last: Slice) -> None:
        session.since = None
        ticks = self._ticks(session.held, first, last)
        self._take(session, on_ticks(session.state, ticks, self._situation(session), end_ns=last.end_ns))

    def _ticks(self, held: Sequence[int], first: int, last: Slice) -> Records:
        parts = []
        for instrument in held:
            tape = self._tape_of(instrument, last)
            parts.append(tape.records[tape.span(first)[0] : tape.span(last.number)[1]])
        if len(parts) == 1:
            return parts[0]
        return select(np.concatenate(parts) if parts else np.zeros(0, TICK), held)

    def _take(self, session: _Session, step: RiskStep) -> None:
        if step.state is not session.state:
            session.state = step.state
            session.look()
        for verdict in step.verdicts:
            terms = session.terms
            self._record.verdict(verdict, session_id=terms.session_id, user_id=terms.user_id)
            if verdict.kind in _INTENDED:
                fact = published(verdict, session_id=terms.session_id, user_id=terms.user_id, limits=terms.limits)
                if isinstance(fact, Intent):
                    self._intents.append(fact)

    def _situation(self, session: _Session) -> Situation:
        return Situation(
            terms=session.terms,
            instruments=self._instruments,
            killed=False,
            data_ns=self.data_ns,
            paced=True,
            last_ticks=self,
            ranges=self._ranges,
        )
