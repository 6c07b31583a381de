"""The engine: a recorded market through strategies, risk, execution and matching, in one thread and simulated time.

    day ─► slices ─► execution(ticks) ─► facts ─┐
                     strategies(ticks, candles) ─┴─► risk ─► intents ─► execution ─► facts of the next slice

A slice is done as the six processes do it (docs/decisions/0001): execution applies its ticks first; strategies decide
on them and on the candles that close in it; risk hears facts and signals by event time, its marks at the slice's end;
what risk approves takes effect at that end. So the same market, sessions and seed give the same decision log in both.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.records import TICK, Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.execution import EngineExecution
from tradebus.engine.history import MinuteHistory
from tradebus.engine.market import MarketDay, Slice, slice_ends
from tradebus.engine.recording.record import Record
from tradebus.engine.risk import EngineRisk
from tradebus.engine.tape import Tape
from tradebus.engine.thinking.strategies import EngineStrategies
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.risk.commands import Command, CommandKind
from tradebus.risk.terms import APPROVAL_VALID_SECONDS, MAX_SIGNAL_AGE_SECONDS
from tradebus.strategies.lane.conflicts import Conflicts
from tradebus.trading.facts import EntrySignal, ExitSignal, Fact, Signal


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the services are told by their settings. The defaults are theirs.

    `slice_by_slice`: everything is done as the services do it: strategies are asked and positions marked slice by
    slice, whether somebody looks or not. The run is the same, and slower.
    """

    slice_seconds: int = 60
    max_signal_age_seconds: int = MAX_SIGNAL_AGE_SECONDS
    approval_valid_seconds: int = APPROVAL_VALID_SECONDS
    slice_by_slice: bool = False
    conflicts: Conflicts = Conflicts.INDEPENDENT


class Engine:
    """One run. `sessions` in the order they were started; `record` fills as the days pass. `first_day` is the run's,
    for what expires (None: any)."""

    def __init__(
        self, sessions: Sequence[SessionSpec], instruments: InstrumentMaster, *, history: MinuteHistory,
        settings: EngineSettings, first_day: date | None = None,
    ) -> None:  # fmt: skip
        self.record = Record()
        self._slice_by_slice = settings.slice_by_slice
        self._slice_ns = settings.slice_seconds * NANOSECONDS_PER_SECOND
        self._tapes: dict[int, Tape] = {}
        self._day_records: dict[tuple[date, int], Records] = {}
        self._ends: list[int] = []
        by_id = {instrument.instrument_id: instrument for instrument in instruments}
        self.strategies = EngineStrategies(
            sessions, instruments, history=history, record=self.record, conflicts=settings.conflicts,
            first_day=first_day, slice_by_slice=settings.slice_by_slice,
        )  # fmt: skip
        self._risk = EngineRisk(
            sessions, by_id, tape_of=self._tape, day_ticks_of=self._day_ticks, ranges=history,
            record=self.record,
            max_signal_age_seconds=settings.max_signal_age_seconds,
            approval_valid_seconds=settings.approval_valid_seconds, marks_every_slice=settings.slice_by_slice,
        )  # fmt: skip
        self._execution = EngineExecution(sessions, by_id, tape_of=self._tape, record=self.record)
        self._wants_ticks = self.strategies.wants_ticks
        self._facts: list[Fact] = []  # reported and not heard yet
        self._reached_ns = 0

    def run(self, days: Iterable[MarketDay]) -> Iterator[MarketDay]:
        """Runs the days, ascending; gives each one when it is done. What is open after the last stays open."""
        for day in days:
            self._run_day(day)
            yield day

    def finish(self) -> list[str]:
        """Stops every session, as STOP_TRADING does when the market has ended; a line for each position left open.

        A day that ends without a price for an exit cannot close it: nothing is filled at a time without a trade.
        """
        self._risk.on_command(
            Command(kind=CommandKind.STOP, ts_event_ns=self._reached_ns, event_id="stop", trace_id="stop")
        )
        return [
            f"{trade.user_id}: {trade.strategy} still holds {trade.open_quantity} {trade.symbol}: the market ended"
            for trade in self._execution.alive() if trade.open_quantity
        ]  # fmt: skip

    def _run_day(self, day: MarketDay) -> None:
        self._tapes.clear()
        self._day_records.clear()
        self._ends = slice_ends(day, self._slice_ns)
        self.record.begin_day()
        self.strategies.begin_day(day.candles, open_ns=day.open_ns)
        self.record.bars += day.bars
        step = Slice(day, 0, self._reached_ns, self._ends[0])
        number = 0
        while number < len(self._ends):
            due = self._next_due(number)
            if due > number:
                step = self._pass_over(number, due, day)
            else:
                step = Slice(day, number, self._reached_ns, self._ends[number])
                self._run_slice(step)
            self._reached_ns, number = step.end_ns, step.number + 1
        self.strategies.end_day(self._reached_ns)
        self._execution.end_day(step)
        self._risk.end_day()

    def _next_due(self, number: int) -> int:
        """The slice, from `number` on, in which something may happen; that after the day's last if in none."""
        if self._slice_by_slice or self._wants_ticks or self._facts:
            return number
        thinking = bisect_left(self._ends, self.strategies.due_ns, lo=number)
        if thinking == number:
            return number
        return min(thinking, self._execution.next_due(number, self._ends), self._risk.next_due(number, self._ends))

    def _pass_over(self, first: int, stop: int, day: MarketDay) -> Slice:
        """Slices in which nothing happens, at once; the last of them."""
        before_ns = self._ends[stop - 2] if stop - 2 >= first else self._reached_ns
        step = Slice(day, stop - 1, before_ns, self._ends[stop - 1])
        self._execution.apply(step)
        self._risk.pass_over(first, step)
        self.strategies.pass_over(step.end_ns)
        return step

    def _run_slice(self, step: Slice) -> None:
        execution, risk = self._execution, self._risk
        execution.apply(step)
        self._hear(execution.drain())
        # Ticks come before the candles that they complete.
        thought = self.strategies.on_ticks(self._ticks(step), step) if self._wants_ticks else []
        signals = [*thought, *self.strategies.on_candles(step.end_ns)]
        if not signals and not self._facts:
            risk.on_ticks(step)
        else:
            self._judge(signals, step)
        intents = risk.drain()
        if intents:
            for intent in intents:
                execution.take(intent, step)
            self._hear(execution.drain())

    def _hear(self, facts: Sequence[Fact]) -> None:
        """Strategies see positions by their instants, so they may hear of them at once; risk hears in its order."""
        if facts:
            for fact in facts:
                self.strategies.on_fact(fact)
            self._facts += facts

    def _judge(self, signals: Sequence[Signal], step: Slice) -> None:
        """Gives risk what the slice brought: by event time; of one instant signals, the slice's marks, facts.

        A stream keeps its order: an entry is ordered by its own time only against the heads of the other streams. Facts
        of the slice's end come from what the last decisions led to, and are heard with the next slice.
        """
        risk, marks_ns = self._risk, step.end_ns - 1
        facts, self._facts = self._facts, []
        waiting = len(facts)
        next_fact = next_signal = 0
        marked = False
        while True:
            fact_ns = facts[next_fact].ts_event_ns if next_fact < waiting else None
            signal_ns = signals[next_signal].ts_event_ns if next_signal < len(signals) else None
            if (
                signal_ns is not None
                and (marked or signal_ns <= marks_ns)
                and (fact_ns is None or signal_ns <= fact_ns)
            ):
                self._signal(signals[next_signal])
                next_signal += 1
            elif not marked and (fact_ns is None or marks_ns <= fact_ns):
                risk.on_ticks(step)
                marked = True
            elif fact_ns is not None and fact_ns < step.end_ns:
                risk.on_fact(facts[next_fact])
                next_fact += 1
            elif signal_ns is not None:
                self._signal(signals[next_signal])
                next_signal += 1
            else:
                break
        self._facts = facts[next_fact:]

    def _signal(self, signal: Signal) -> None:
        if self.record.signal(signal) and isinstance(signal, EntrySignal | ExitSignal):
            self._risk.on_signal(signal)

    def _day_ticks(self, instrument: int, step: Slice) -> Records:
        """All ticks of an instrument's day, for whoever looks back."""
        key = (step.day.day, instrument)
        ticks = self._day_records.get(key)
        if ticks is None:
            ticks = self._day_records[key] = step.day.ticks_of(instrument, from_ns=0)
        return ticks

    def _tape(self, instrument: int, step: Slice) -> Tape:
        tape = self._tapes.get(instrument)
        if tape is None:
            tape = self._tapes[instrument] = Tape(step.day, instrument, self._ends, from_slice=step.number)
        return tape

    def _ticks(self, step: Slice) -> Records:
        parts = []
        for instrument in self.strategies.tick_instruments:
            tape = self._tape(instrument, step)
            first, last = tape.span(step.number)
            parts.append(tape.records[first:last])
        ticks = np.concatenate(parts) if parts else np.zeros(0, TICK)
        return ticks if len(parts) < 2 else ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]
