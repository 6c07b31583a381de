"""Runners that are asked one by one, candle by candle and tick by tick: users' strategies, and whoever wants ticks."""

from collections.abc import Sequence, Set

from tradebus.contracts.records import Records
from tradebus.engine.history import MinuteHistory
from tradebus.engine.market import Slice
from tradebus.engine.recording.record import Record
from tradebus.kernel.time import NEVER_NS
from tradebus.strategies.lane.asking import Asking, Settled
from tradebus.strategies.lane.resolver import Opinion
from tradebus.strategies.lane.runner import Runner
from tradebus.strategies.lane.sessions import ActiveSessions, Listener
from tradebus.strategies.lane.shared import Shared, SharedLane, SharedRunner
from tradebus.strategies.protocol import Candle, Tick

Answer = tuple[Listener, Settled]


class OneByOne:
    """`apart` are the runners, by identity, that are decided elsewhere."""

    def __init__(
        self, active: ActiveSessions, lane: SharedLane, history: MinuteHistory, record: Record, *, apart: Set[int]
    ) -> None:
        self._active, self._lane, self._history, self._record, self._apart = active, lane, history, record, apart
        self._asked_of = self._heard()
        self._rows: list[tuple[int, ...]] = []  # of the day's candles, those that somebody is asked about
        self._at = 0
        self.due_ns = NEVER_NS  # the close of the next of them

    def begin_day(self, candles: Records) -> None:
        """The day's candles, ascending by (close, timeframe, instrument)."""
        self._at = 0
        self._rows = [row for row in candles.tolist() if (row[9], row[8]) in self._asked_of] if self._asked_of else []
        self._note_due()

    def on_candles(self, end_ns: int) -> list[Answer]:
        """The answers to candles that close at or before `end_ns` and were not asked about yet."""
        rows, start = self._rows, self._at
        while self._at < len(rows) and rows[self._at][1] <= end_ns:
            self._at += 1
        self._note_due()
        return self._asked(rows[start : self._at])

    def _note_due(self) -> None:
        self.due_ns = self._rows[self._at][1] if self._at < len(self._rows) else NEVER_NS

    def _asked(self, closed: Sequence[tuple[int, ...]]) -> list[Answer]:
        """The answers to candles, one by one."""
        answers: list[Answer] = []
        self._lane.see(closed)
        for candle, listener in self._active.hear(closed):
            runner = listener.runner
            if id(runner) in self._apart:
                continue
            if runner.needs_rebuild(candle.ts_open_ns):
                self._rebuild(runner, candle.ts_open_ns)
            if listener.series is not None:
                self._record.failed(runner.source.key, runner.on_input(candle, listener.series))
                continue
            settled = runner.on_candle(candle, paused=False)
            if settled is not None:
                answers.append((listener, settled))
        return answers

    def on_ticks(self, ticks: Records, step: Slice) -> list[Answer]:
        """The answers to the slice's ticks, in their order."""
        answers: list[Answer] = []
        thought = self._lane.on_ticks(ticks)
        rows = self._active.asked_on(ticks)
        # As in a paced run: the slice's first instant was promised away by the last watermark.
        floor_ns = step.start_ns + 1
        if thought:
            rows = sorted({*rows, *thought})
        for row, record in zip(rows, ticks[rows].tolist(), strict=True):
            tick = Tick(ts_event_ns=record[0], price_paise=record[2], volume_cumulative=record[3])
            at_ns = max(tick.ts_event_ns, floor_ns)
            for listener in self._active.on_tick_of(record[8]):
                answers += self._on_tick(tick, listener, at_ns=at_ns, thought=thought.get(row, ()))
        return answers

    def _on_tick(
        self, tick: Tick, listener: Listener, *, at_ns: int, thought: Sequence[tuple[Shared, Opinion]]
    ) -> list[Answer]:
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

    def _heard(self) -> set[tuple[int, int]]:
        """(timeframe, instrument) of the candles that somebody is asked about."""
        askings = [
            runner.asking for session in self._active.all() for runner in session.runners
            if id(runner) not in self._apart
        ]  # fmt: skip
        return {(one.info.timeframe_seconds, one.source.instrument) for one in askings} | {
            place for one in askings for place in one.inputs
        }

    def _rebuild(self, runner: Runner, ts_ns: int) -> None:
        asking = runner.asking
        candles = self._before(asking, ts_ns, asking.source.instrument, asking.info.timeframe_seconds)
        inputs = [
            (candle, series)
            for (seconds, instrument), heard in asking.inputs.items()
            for candle in self._before(asking, ts_ns, instrument, seconds)
            for series in heard
        ]
        self._record.failed(runner.source.key, runner.rebuild(ts_ns, candles, inputs))

    def _before(self, asking: Asking, ts_ns: int, instrument: int, timeframe_seconds: int) -> list[Candle]:
        return self._history.before(
            ts_ns,
            instrument=instrument,
            timeframe_seconds=timeframe_seconds,
            warmup_candles=asking.info.warmup_candles,
            hours=asking.hours,
        )
