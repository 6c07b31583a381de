"""Strategies in the engine: the lane's runners, every decision into the record, every signal out."""

from collections.abc import Mapping, Sequence
from datetime import date, time

import numpy as np

from tradebus.contracts.instruments import InstrumentMaster
from tradebus.contracts.records import Records
from tradebus.contracts.sessions import SessionSpec
from tradebus.engine.history import MinuteHistory
from tradebus.engine.market import Slice
from tradebus.engine.record import Record
from tradebus.kernel.time import ist_to_ns
from tradebus.strategies.lane.asking import Asking, Settled
from tradebus.strategies.lane.conflicts import Conflicts, settle_conflicts
from tradebus.strategies.lane.decisions import signal_of
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.resolver import Opinion
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import (
    ActiveSession,
    ActiveSessions,
    Found,
    Listener,
    bid_of,
    found_here,
    open_session,
)
from tradebus.strategies.lane.shared import Shared, SharedLane, SharedRunner
from tradebus.strategies.protocol import Action, Candle, Tick
from tradebus.strategies.roles import Offered, spots_of
from tradebus.trading.facts import Fact, PositionClosed, PositionOpened, Signal


class EngineStrategies:
    """Raises InvalidInput for a session whose strategies or symbols cannot be traded."""

    def __init__(
        self,
        sessions: Sequence[SessionSpec],
        instruments: InstrumentMaster,
        *,
        history: MinuteHistory,
        record: Record,
        conflicts: Conflicts,
        first_day: date | None = None,
    ) -> None:
        self._history, self._record, self._conflicts = history, record, conflicts
        self._lane = SharedLane()
        self._book = PositionBook()
        self._active = ActiveSessions()
        self._numbers: dict[int, int] = {}  # of runners, in the record
        for spec in sessions:
            found = [found_here(wanted, self._lane) for wanted in spec.strategies]
            session = open_session(
                spec, instruments=instruments, book=self._book, paused=False, found=found, day=first_day,
                offered=Offered(closes_paise=_closes(found, spec, instruments, history, first_day)),
            )  # fmt: skip
            self._active.add(session)
            for runner in session.runners:
                self._numbers[id(runner)] = record.decisions.add_source(runner.source)
        self._rows: list[tuple[int, ...]] = []  # of the day's candles, those not decided on yet
        self._at = 0
        self._reached_ns = 0  # when the day began

    @property
    def timeframes_seconds(self) -> frozenset[int]:
        """Those that some strategy listens to."""
        askings = [runner.asking for session in self._sessions() for runner in session.runners]
        return frozenset(one.info.timeframe_seconds for one in askings) | frozenset(
            seconds for one in askings for seconds, _ in one.inputs
        )

    @property
    def wants_ticks(self) -> bool:
        return self._active.wants_ticks

    @property
    def tick_instruments(self) -> list[int]:
        return sorted(self._active.tick_instruments)

    def begin_day(self, candles: Records, *, open_ns: int) -> None:
        """The day's candles, ascending by (close, timeframe, instrument)."""
        self._rows, self._at = candles.tolist(), 0
        self._book.forget_closed_before(self._reached_ns)
        self._reached_ns = open_ns

    def on_fact(self, fact: Fact) -> None:
        if isinstance(fact, PositionOpened | PositionClosed):
            self._book.apply(fact)

    def on_candles(self, end_ns: int) -> list[Signal]:
        """Decides on the candles that close at or before `end_ns` and were not decided on yet."""
        rows, start = self._rows, self._at
        at = start
        while at < len(rows) and rows[at][1] <= end_ns:
            at += 1
        if at == start:
            return []
        self._at = at
        closed, answers = rows[start:at], list[tuple[Listener, Settled]]()
        self._lane.see(closed)
        for candle, listener in self._active.hear(closed):
            runner = listener.runner
            if runner.needs_rebuild(candle.ts_open_ns):
                self._rebuild(runner, candle.ts_open_ns)
            if listener.series is not None:
                self._note(runner.on_input(candle, listener.series), runner)
                continue
            settled = runner.on_candle(candle, paused=False)
            if settled is not None:
                answers.append((listener, settled))
        return self._taken(answers)

    def on_ticks(self, ticks: Records, step: Slice) -> list[Signal]:
        """Decides on the slice's ticks, in their order."""
        answers: list[tuple[Listener, Settled]] = []
        thought = self._lane.on_ticks(ticks)
        rows = np.flatnonzero(np.isin(ticks["instrument"], self._active.asked_on_ticks)).tolist()
        # As in a paced run: the slice's first instant was promised away by the last watermark.
        floor_ns = step.start_ns + 1
        for row in sorted({*rows, *thought}) if thought else rows:
            record = ticks[row].item()
            tick = Tick(ts_event_ns=record[0], price_paise=record[2], volume_cumulative=record[3])
            at_ns = max(tick.ts_event_ns, floor_ns)
            for listener in self._active.on_tick_of(record[8]):
                answers += self._on_tick(tick, listener, at_ns=at_ns, thought=thought.get(row, ()))
        return self._taken(answers)

    def _on_tick(
        self, tick: Tick, listener: Listener, *, at_ns: int, thought: Sequence[tuple[Shared, Opinion]]
    ) -> list[tuple[Listener, Settled]]:
        runner = listener.runner
        opinions = [
            opinion for shared, opinion in thought if isinstance(runner, SharedRunner) and shared is runner.shared
        ]
        if isinstance(runner, SharedRunner) and not opinions:
            return []
        if runner.needs_rebuild(tick.ts_event_ns):
            self._rebuild(runner, tick.ts_event_ns)
        if isinstance(runner, SharedRunner):
            found = [runner.on_tick_opinion(tick, one, ts_event_ns=at_ns, paused=False) for one in opinions]
        else:
            found = [runner.on_tick(tick, ts_event_ns=at_ns, paused=False)]
        return [(listener, settled) for settled in found if settled is not None]

    def _sessions(self) -> list[ActiveSession]:
        return self._active.all()

    def _rebuild(self, runner: Runner, ts_ns: int) -> None:
        asking = runner.asking
        candles = self._before(asking, ts_ns, asking.source.instrument, asking.info.timeframe_seconds)
        inputs = [
            (candle, series)
            for (seconds, instrument), series in asking.inputs.items()
            for candle in self._before(asking, ts_ns, instrument, seconds)
        ]
        self._note(runner.rebuild(ts_ns, candles, inputs), runner)

    def _before(self, asking: Asking, ts_ns: int, instrument: int, timeframe_seconds: int) -> list[Candle]:
        return self._history.before(
            ts_ns,
            instrument=instrument,
            timeframe_seconds=timeframe_seconds,
            warmup_candles=asking.info.warmup_candles,
            hours=asking.hours,
        )

    def _taken(self, answers: Sequence[tuple[Listener, Settled]]) -> list[Signal]:
        """Every answer into the record; the signals of those that count, in their order."""
        if self._conflicts is not Conflicts.INDEPENDENT:
            settle_conflicts([bid_of(*answer) for answer in answers], self._conflicts, self._book.holders)
        signals: list[Signal] = []
        for listener, settled in answers:
            runner, decision, moment = listener.runner, settled.decision, settled.moment
            self._record.decisions.add(
                self._numbers[id(runner)],
                moment.ts_event_ns,
                decision.action.value,
                decision.reason,
                moment.price_paise,
            )
            if decision.action is not Action.HOLD:
                signal = signal_of(decision, runner.source, moment, position=settled.position)
                if signal is not None:
                    signals.append(signal)
            self._note(settled.failure, runner)
        return signals

    def _note(self, failure: str | None, runner: Runner) -> None:
        if failure is not None:
            self._record.failed(runner.source.key, failure)


def _closes(
    found: Sequence[Found], spec: SessionSpec, instruments: InstrumentMaster, history: MinuteHistory, day: date | None
) -> Mapping[int, int]:
    """Last closes before the run of what strikes are chosen by, by instrument id."""
    if day is None:
        return {}
    owns = [instruments.find(symbol) for symbol in spec.symbols]
    spots = {
        spot.instrument_id for one in found for own in owns for spot in spots_of(one.info.needs, own, instruments, day)
    }
    closes = {spot: history.last_close_paise(spot, before_ns=ist_to_ns(day, time(0))) for spot in spots}
    return {spot: close for spot, close in closes.items() if close is not None}
