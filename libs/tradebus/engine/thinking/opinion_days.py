"""A compiled strategy's day in columns: what one session decides on opinions that were all computed at once.

    candles of the day ─► one compiled call ─► opinions ─► rows that may lead to something ─► resolver, one by one
                                                        └─► all others are HOLDs: recorded at once, by column

Invariant (property-tested): what is decided, and when, is what `SharedRunner` decides candle by candle: an opinion
knows no position, and between two facts about a position the resolver's answer to an opinion of HOLD is the opinion's
own reason.
"""

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, Records
from tradebus.contracts.signals import Side
from tradebus.engine.history import MinuteHistory
from tradebus.engine.recording.decision_columns import DecisionColumns
from tradebus.kernel.time import NEVER_NS
from tradebus.strategies.lane.asking import Settled
from tradebus.strategies.lane.decisions import Moment, settle
from tradebus.strategies.lane.positions import PositionKey
from tradebus.strategies.lane.sessions import Listener
from tradebus.strategies.lane.shared import SharedRunner
from tradebus.strategies.opinions import EXIT, HOLD, OPINION
from tradebus.strategies.protocol import Action
from tradebus.trading.facts import PositionClosed, PositionOpened

_FLAT, _LONG, _SHORT = range(3)
_NOT_HELD = -1
_CASES = ("flat", "long", "short")


class OpinionDay:
    """One session's strategy on one instrument. `number` is its source's in `decisions`.

    `due_ns` is the close of the next candle that may lead to more than a HOLD.
    """

    def __init__(self, runner: SharedRunner, decisions: DecisionColumns, number: int) -> None:
        self.runner, self.due_ns = runner, NEVER_NS
        self._decisions, self._number = decisions, number
        self._unsettled_ns = 0  # a candle up to here sees a position that has changed since
        self._at_next = 0  # the first row that is not decided yet
        self._case = _FLAT
        self._due_row = 0
        self._closes: list[int] = []
        self._candles: Records = np.zeros(0, CANDLE)
        self._opinions: Records = np.zeros(0, OPINION)
        self._events: tuple[list[int], ...] = ([], [], [])  # rows, by case
        self._held = np.zeros(0, np.int8)  # by row, in which case the session holds
        self._taken = np.zeros(0, np.int64)  # by row, the occasion that was taken before

    def begin_day(self, earlier: Records, today: Records) -> None:
        """CANDLE records of its instrument and timeframe, ascending: the warm-up, and all of the day that begins."""
        opinions = self.runner.shared.of_day(self.runner.source.instrument, earlier, today)
        self._replay(earlier, opinions[: len(earlier)])
        self._candles, self._opinions = today, opinions[len(earlier) :]
        self._closes = today["ts_close_ns"].tolist()
        flat, long, short = (self._opinions[case] != HOLD for case in _CASES)
        # What is said while a session is locked depends on the instant.
        flat |= self._opinions["locked_reason"] != 0
        self._events = tuple(np.flatnonzero(rows).tolist() for rows in (flat, long, short))
        self._at_next = self._due_row = 0
        self._held = np.full(len(today), _NOT_HELD, np.int8)
        self._taken = np.zeros(len(today), np.int64)
        self._unsettled_ns = 0
        self._look()

    def on_candles(self, end_ns: int) -> list[Settled]:
        """What is decided on the candles up to `end_ns`, but for HOLDs that are recorded later, all at once."""
        found: list[Settled] = []
        while self.due_ns <= end_ns:
            row = self._due_row
            self._hold_until(row)
            found.append(self._decide(row))
            self._at_next = row + 1
            self._look()
        return found

    def position_changed(self, ts_event_ns: int, decided_ns: int) -> None:
        """A fact about its position, of this instant, was heard, when the candles up to `decided_ns` had been."""
        self._hold_until(bisect_right(self._closes, decided_ns))
        self._unsettled_ns = max(self._unsettled_ns, ts_event_ns)
        self._look()

    def end_day(self, end_ns: int) -> None:
        """Records the day, whose last slice ended then."""
        self._hold_until(bisect_right(self._closes, end_ns))
        self._record()

    def _look(self) -> None:
        """Finds the next row that has to be decided by itself."""
        row = self._at_next
        if row < len(self._closes) and self._closes[row] > self._unsettled_ns:
            position = self.runner.asking.position_at(self._closes[row])
            self._case = _FLAT if position is None else _LONG if position.side is Side.LONG else _SHORT
            events = self._events[self._case]
            place = bisect_left(events, row)
            row = events[place] if place < len(events) else len(self._closes)
        self._due_row = row
        self.due_ns = self._closes[row] if row < len(self._closes) else NEVER_NS

    def _decide(self, row: int) -> Settled:
        ts_ns = self._closes[row]
        position = self.runner.asking.position_at(ts_ns)
        answer = self.runner.resolver.decide(self._opinions[row].item(), position, ts_ns)
        moment = Moment("candle", ts_ns, int(self._candles["close_paise"][row]))
        return Settled(settle(answer, moment, position=position, paused=False), moment, position)

    def _hold_until(self, stop: int) -> None:
        """In each of the rows up to `stop` the session holds; recorded with the others of the day."""
        start = self._at_next
        if stop > start:
            self._held[start:stop] = self._case
            self._taken[start:stop] = self.runner.resolver.taken_ns
            self._at_next = stop

    def _record(self) -> None:
        rows = np.flatnonzero(self._held != _NOT_HELD)
        if not len(rows):
            return
        opinions, candles, held = self._opinions[rows], self._candles[rows], self._held[rows]
        occasions = opinions["occasion_ns"]
        is_spent = (occasions == 0) | (occasions == self._taken[rows])
        flat = np.where(is_spent, opinions["spent_reason"], opinions["flat_reason"])
        reasons = np.where(
            held == _FLAT, flat, np.where(held == _LONG, opinions["long_reason"], opinions["short_reason"])
        )
        self._decisions.extend(
            self._number, candles["ts_close_ns"], Action.HOLD.value, self._texts(reasons, opinions),
            candles["close_paise"],
        )  # fmt: skip

    def _texts(self, reasons: npt.NDArray[Any], opinions: Records) -> npt.NDArray[np.int32]:
        """The number in the record of each row's reason in words."""
        words, templates = self._decisions.text, self.runner.shared.strategy.REASONS
        numbers = np.empty(len(reasons), np.int32)
        for reason in np.unique(reasons).tolist():
            template, mine = templates[reason], reasons == reason
            if "{" not in template:
                numbers[mine] = words(template)
                continue
            figures = opinions["numbers"][mine].tolist()
            numbers[mine] = [words(template.format(*row)) for row in figures]
        return numbers

    def _replay(self, earlier: Records, opinions: Records) -> None:
        """What the resolver took on the days before, as when it is replayed candle by candle."""
        resolver, position_at = self.runner.fresh_resolver(), self.runner.asking.position_at
        acts = (opinions["flat"] != HOLD) | (opinions["long"] == EXIT) | (opinions["short"] == EXIT)
        for row in np.flatnonzero(acts).tolist():
            ts_ns = int(earlier["ts_close_ns"][row])
            resolver.decide(opinions[row].item(), position_at(ts_ns), ts_ns)
        resolver.begin_day()


class OpinionDays:
    """All runners of a run whose days can be decided in columns: compiled, on the candles of their own instrument."""

    def __init__(self, history: MinuteHistory, decisions: DecisionColumns) -> None:
        self._history, self._decisions = history, decisions
        self._days: list[tuple[Listener, OpinionDay]] = []
        self._by_key: dict[PositionKey, OpinionDay] = {}
        self.due_ns = NEVER_NS  # no candle that closes before leads to more than a HOLD

    def take_in(self, listener: Listener, number: int) -> bool:
        """Whether the runner is one of them; `number` is its source's in the record."""
        runner = listener.runner
        if not isinstance(runner, SharedRunner) or runner.asking.info.wants_ticks or runner.asking.inputs:
            return False
        if runner.shared.leg_sets:  # whether legs are held is asked for each candle
            return False
        day = OpinionDay(runner, self._decisions, number)
        self._days.append((listener, day))
        self._by_key[runner.source.key] = day
        return True

    def begin_day(self, candles: Records, open_ns: int) -> None:
        """The day's CANDLE records, of all instruments and timeframes."""
        for listener, day in self._days:
            asking = listener.runner.asking
            mine = (
                (candles["instrument"] == asking.source.instrument)
                & (candles["timeframe_seconds"] == asking.info.timeframe_seconds)
                & (candles["flags"] & CANDLE_CORRECTED == 0)
            )
            is_open = asking.hours.of(open_ns) is not None
            earlier = self._history.warmup(
                open_ns, instrument=asking.source.instrument, timeframe_seconds=asking.info.timeframe_seconds,
                warmup_candles=asking.info.warmup_candles, hours=asking.hours,
            )  # fmt: skip
            day.begin_day(earlier, candles[mine] if is_open else candles[:0])
        self._note_due()

    def on_candles(self, end_ns: int) -> list[tuple[Listener, Settled]]:
        """What is decided on the candles up to `end_ns`; HOLDs are recorded later, all at once."""
        answers = [(listener, settled) for listener, day in self._days for settled in day.on_candles(end_ns)]
        self._note_due()
        return answers

    def on_fact(self, fact: PositionOpened | PositionClosed, decided_ns: int) -> None:
        """A position has changed, and the book of positions knows it; candles up to `decided_ns` were heard before."""
        day = self._by_key.get(PositionKey(fact.session_id, fact.strategy, fact.symbol))
        if day is not None:
            day.position_changed(fact.ts_event_ns, decided_ns)
            self._note_due()

    def end_day(self, end_ns: int) -> None:
        """Records what is left of the day, whose last slice ended then."""
        for _, day in self._days:
            day.end_day(end_ns)

    def _note_due(self) -> None:
        self.due_ns = min((day.due_ns for _, day in self._days), default=NEVER_NS)
