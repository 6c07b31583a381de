"""A history as the engine runs it: days whose candles are at hand and whose ticks are made only where somebody looks.

    bars   minutes as they are, higher timeframes by the one aggregator, ticks expanded from the minute asked for on
    ticks  candles by the kernels that work live ticks, ticks as they were

Invariant (tested against the feed of the six processes): a day's candles and ticks are those that `HistoryFeed` and
`plan_day` publish.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.market_data.candles.day import expand_symbol, plan_day
from services.market_data.feeds.hours import day_numbers, sessions_of
from services.market_data.feeds.recorded.columns import to_candles
from services.market_data.feeds.recorded.history import History
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.calendar import session_for
from tradebus.contracts.records import CANDLE, TICK, Records
from tradebus.indicators.aggregate import aggregate_batch
from tradebus.indicators.path import volume_before

_MINUTE = 60


@dataclass(frozen=True)
class _Series:
    """CANDLE records of one instrument and timeframe, ascending; their closes contiguous, for searching."""

    rows: Records
    close_ns: npt.NDArray[np.int64]

    @classmethod
    def of(cls, rows: Records) -> "_Series":
        return cls(rows, np.ascontiguousarray(rows["ts_close_ns"]))

    def between(self, open_ns: int, close_ns: int) -> Records:
        """Those that close in (open, close]."""
        first, last = self.close_ns.searchsorted((open_ns, close_ns), side="right").tolist()
        return self.rows[first:last]


class SimulatedMarket:
    """`minutes` holds each instrument's one-minute candles, the warm-up before the first day included."""

    def __init__(self, history: History, *, instrument_of: Mapping[str, int], ticks_per_minute: int, seed: int) -> None:
        self.feed = HistoryFeed(history, ticks_per_minute=ticks_per_minute, seed=seed)
        self._columns, self._instrument_of = history.columns, dict(instrument_of)
        self._ticks_per_minute, self._seed = ticks_per_minute, seed
        self._symbol_of = {number: symbol for symbol, number in self._instrument_of.items()}
        self._classes = {self._instrument_of[one.symbol]: one.market_class for one in self.feed.instruments}
        self.is_ticks = history.columns.is_ticks
        warmup = self.feed.warmup(self._instrument_of)
        bars = np.empty(0, CANDLE) if self.is_ticks else to_candles(history.columns, instrument_of=self._instrument_of)
        self._bars = {number: _of_instrument(bars, number) for number in self._symbol_of}
        self.minutes = {
            number: np.concatenate((_of_instrument(warmup, number), self._minutes_of(number)))
            for number in self._symbol_of
        }

    def days(self, timeframes_seconds: Sequence[int]) -> Iterator["SimulatedDay"]:
        """Every day, with candles of these timeframes."""
        wanted = sorted(set(timeframes_seconds))
        series = {} if self.is_ticks else self._series(wanted)
        for feed_day in self.feed.days:
            if self.is_ticks:
                yield self._day_of_ticks(feed_day.day, feed_day.open_ns, feed_day.close_ns, wanted)
                continue
            parts = [one.between(feed_day.open_ns, feed_day.close_ns) for one in series.values()]
            yield SimulatedDay(
                self, feed_day.day, feed_day.open_ns, feed_day.close_ns, _ordered(parts), feed_day.bars, None
            )

    def expand(self, instrument: int, *, day: "SimulatedDay", from_ns: int) -> Records:
        """The instrument's ticks of a day of bars from the minute that holds `from_ns` on."""
        minutes = _Series.of(self._bars[instrument]).between(day.open_ns, day.close_ns)
        before = volume_before(minutes)
        first = int(np.searchsorted(minutes["ts_close_ns"], from_ns, side="right"))
        ticks = expand_symbol(
            minutes[first:], symbol=self._symbol_of[instrument], instrument=instrument,
            ticks_per_minute=self._ticks_per_minute, seed=self._seed, volumes_before=before[first:],
        )  # fmt: skip
        return ticks[int(np.searchsorted(ticks["ts_event_ns"], from_ns)) :]

    def _series(self, timeframes_seconds: Sequence[int]) -> dict[tuple[int, int], _Series]:
        found = {}
        for number, bars in self._bars.items():
            for timeframe in timeframes_seconds:
                rows = bars if timeframe == _MINUTE else self._aggregated(bars, timeframe, self._classes[number])
                found[timeframe, number] = _Series.of(rows)
        return found

    def _aggregated(self, bars: Records, timeframe_seconds: int, market_class: str) -> Records:
        if not len(bars):
            return bars
        sessions = sessions_of(np.unique(day_numbers(bars["ts_open_ns"])).tolist(), market_class)
        opens, closes = sessions.bounds(bars["ts_open_ns"])
        return aggregate_batch(
            bars, timeframe_seconds, session_open_ns=opens, session_close_ns=closes, until_ns=int(closes.max())
        )

    def _minutes_of(self, number: int) -> Records:
        if not self.is_ticks:
            return self._bars[number]
        plans = (self._day_of_ticks(one.day, one.open_ns, one.close_ns, [_MINUTE]) for one in self.feed.days)
        return np.concatenate([np.empty(0, CANDLE), *(_of_instrument(plan.candles, number) for plan in plans)])

    def _day_of_ticks(
        self, day: date, open_ns: int, close_ns: int, timeframes_seconds: Sequence[int]
    ) -> "SimulatedDay":
        feed_day = next(one for one in self.feed.days if one.day == day)
        ticks = self.feed.ticks(feed_day, self._instrument_of)
        found = {number: session_for(day, market_class) for number, market_class in self._classes.items()}
        plan = plan_day(ticks, sessions={number: one for number, one in found.items() if one is not None})
        candles = plan.candles[np.isin(plan.candles["timeframe_seconds"], timeframes_seconds)]
        return SimulatedDay(self, day, open_ns, close_ns, candles, len(plan.minutes), ticks)


class SimulatedDay:
    """See `tradebus.engine.market.MarketDay`. `ticks` where the history is of ticks."""

    def __init__(
        self, market: SimulatedMarket, day: date, open_ns: int, close_ns: int, candles: Records, bars: int,
        ticks: Records | None,
    ) -> None:  # fmt: skip
        self._market, self._ticks = market, ticks
        self.day, self.open_ns, self.close_ns, self.candles, self.bars = day, open_ns, close_ns, candles, bars

    def ticks_of(self, instrument: int, *, from_ns: int) -> Records:
        if self._ticks is None:
            return self._market.expand(instrument, day=self, from_ns=from_ns)
        mine = self._ticks[(self._ticks["instrument"] == instrument) & (self._ticks["ts_event_ns"] >= from_ns)]
        return mine if len(mine) else np.zeros(0, TICK)


def _of_instrument(rows: Records, number: int) -> Records:
    mine: Records = rows[rows["instrument"] == number]
    ascending: Records = mine[np.argsort(mine["ts_open_ns"], kind="stable")]
    return ascending


def _ordered(parts: Sequence[Records]) -> Records:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    candles = np.concatenate(filled) if filled else np.empty(0, CANDLE)
    return candles[np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))]
