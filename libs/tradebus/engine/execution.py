"""Execution in the engine: the cores of the service on a book in memory, one decision after the other.

    slice ─► supervision: ticks at which anything can happen ─► trades ─► requests ─► answers ─► trades …
    intents ─► trades ─► the same

Between two events of a trade no tick is looked at: the next one that matters is found over the whole rest of the day,
and found anew only when a trade has changed.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from tradebus.contracts.instruments import Instrument
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.market import Slice
from tradebus.engine.recording.record import Record
from tradebus.engine.tape import TapeOf
from tradebus.engine.trades import EngineTrades
from tradebus.execution.decisions import exit_at
from tradebus.execution.roster import Roster
from tradebus.execution.supervision import MeetTick, PassTime, Supervision, SupervisionAction, TradeDecision, TrailStop
from tradebus.execution.trade import Trade
from tradebus.execution.watching import ending, note_extremes
from tradebus.kernel.time import NEVER_NS
from tradebus.trading.facts import EntryApproved, ExitApproved, Fact, Intent
from tradebus.trading.matching.exchange import PaperExchange


class EngineExecution:
    """`instruments` by id, `tape_of` an instrument's ticks of the day from a slice on."""

    def __init__(
        self, sessions: Sequence[SessionSpec], instruments: Mapping[int, Instrument], *, tape_of: TapeOf, record: Record
    ) -> None:
        self._tape_of, self._exchange, self._roster = tape_of, PaperExchange(), Roster("engine")
        self._supervision = Supervision(self._roster, self._exchange)
        self._trades = EngineTrades(
            self._roster, self._exchange, specs={spec.session_id: spec for spec in sessions},
            instruments=instruments, record=record,
        )  # fmt: skip
        self._quiet_since = -1  # the revision of the roster from which on nothing happens before `_quiet_until_ns`
        self._quiet_until_ns = 0

    def next_due(self, number: int, ends_ns: Sequence[int]) -> int:
        """The first slice, from `number` on, in which something may happen; `ends_ns` are the ends of the day's."""
        if not self._roster.alive:
            return len(ends_ns)
        return bisect_right(ends_ns, self._quiet_until_ns, lo=number) if self._is_quiet else number

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing happens before `_quiet_until_ns`."""
        return self._quiet_since == self._roster.revision

    def apply(self, step: Slice) -> None:
        """Everything of the slice's ticks, and of the time up to its end."""
        if not self._roster.alive:
            self._supervision.now_ns = step.end_ns
            return
        if self._is_quiet and step.end_ns <= self._quiet_until_ns:
            self._roster.market_ns = step.end_ns - 1
            self._supervision.now_ns = step.end_ns
            return
        for instrument in sorted(self._roster.by_instrument):
            self._apply_instrument(instrument, step)
        self._note_extremes((trade for trade in self._roster.alive.values() if ending(trade)), step)
        self._carry_out(self._supervision.pass_time(step.end_ns))
        self._look_ahead(step)

    def _look_ahead(self, step: Slice) -> None:
        """Finds out until when nothing happens as things stand: no tick that matters, no deadline, no effect due."""
        roster = self._roster
        self._quiet_since = -1
        if any(ending(trade) for trade in roster.alive.values()):
            return
        events = [NEVER_NS]
        for instrument in roster.by_instrument:
            revision, index = self._supervision.looked.get(instrument, (-1, None))
            if revision != roster.revision:
                return
            if index is not None:
                events.append(int(self._tape_of(instrument, step).ticks.at_ns[index]))
        events += [due for due in (roster.earliest_ns, self._exchange.next_effect_ns) if due is not None]
        self._quiet_since, self._quiet_until_ns = roster.revision, min(events)

    def take(self, intent: Intent, step: Slice) -> None:
        """An approval or an exit of risk, at the slice's end: what was decided in it takes effect then."""
        at_ns = max(intent.ts_event_ns, self._supervision.now_ns)
        if isinstance(intent, EntryApproved):
            self._trades.open(intent, at_ns=at_ns, now_ns=self._supervision.now_ns)
        elif isinstance(intent, ExitApproved) and (trade := self._roster.alive.get(intent.pos_id or "")) is not None:
            self._note_extremes([trade], step)
            decide = exit_at(reason=intent.rule, at_ns=at_ns)
            self._trades.change(trade.pos_id, decide, cause_id=intent.event_id)

    def drain(self) -> list[Fact]:
        """What has been reported since the last call."""
        return self._trades.drain()

    def end_day(self, step: Slice) -> None:
        """The day's ticks are about to go: what they mean for open positions is noted."""
        self._note_extremes(self._roster.alive.values(), step)
        self._exchange.forget_ended()
        self._quiet_since = -1
        self._supervision.looked.clear()

    def alive(self) -> list[Trade]:
        return list(self._roster.alive.values())

    def _apply_instrument(self, instrument: int, step: Slice) -> None:
        tape = self._tape_of(instrument, step)
        start, stop = tape.span(step.number)
        revision, index = self._supervision.looked.get(instrument, (-1, None))
        if revision != self._roster.revision:
            index = self._supervision.next_index(instrument, tape.ticks, start)
            self._supervision.looked[instrument] = (self._roster.revision, index)
        if index is not None and index < stop:
            self._carry_out(self._supervision.walk(instrument, tape.ticks, start, stop))

    def _carry_out(self, actions: Iterable[SupervisionAction]) -> None:
        """Storing extremes is for those who may be killed."""
        for action in actions:
            if isinstance(action, TradeDecision | TrailStop):
                self._trades.change(action.pos_id, action.decide)
            elif isinstance(action, MeetTick):
                report = self._exchange.on_tick(action.instrument, action.ticks, action.index)
                if report is not None:
                    self._trades.report(report)
            elif isinstance(action, PassTime):
                while (report := self._exchange.advance(action.now_ns)) is not None:
                    self._trades.report(report)

    def _note_extremes(self, trades: Iterable[Trade], step: Slice) -> None:
        """Takes all prices up to the slice's end into the trades' extremes."""
        for trade in trades:
            if trade.entry_quantity:
                tape = self._tape_of(trade.instrument, step)
                note_extremes(trade, tape.ticks, 0, tape.span(step.number)[1])
