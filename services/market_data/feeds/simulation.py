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

from services.market_data.candles.day import closing_ticks, expand_symbol, plan_day
from services.market_data.candles.plan import DayPlan
from services.market_data.feeds.ports import FeedDay
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.calendar import session_of, tick_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, Records
from tradebus.history.columns import to_candles
from tradebus.history.hours import date_of_day, day_numbers, sessions_of
from tradebus.history.loading import LoadedHistory
from tradebus.indicators.aggregate import aggregate_batch
from tradebus.indicators.path import volume_before

_MINUTE = 60
_NONE: Records = np.zeros(0, CANDLE)


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


class SimulatedDay:
    """See `tradebus.engine.market.MarketDay`."""

    def __init__(self, market: "SimulatedMarket", feed_day: FeedDay, candles: Records) -> None:
        self._market = market
        self.day, self.open_ns, self.close_ns = feed_day.day, feed_day.open_ns, feed_day.close_ns
        self.bars, self.candles = feed_day.bars, candles

    def ticks_of(self, instrument: int, *, from_ns: int) -> Records:
        return self._market.ticks_of(instrument, day=self, from_ns=from_ns)


class SimulatedMarket:
    """A market of one-minute bars: `bars` and `warmup` (before them) by instrument id, ascending."""

    def __init__(
        self, instruments: Sequence[Instrument], *, bars: Mapping[int, Records], warmup: Mapping[int, Records],
        ticks_per_minute: int, seed: int,
    ) -> None:  # fmt: skip
        self._instruments = {one.instrument_id: one for one in instruments}
        self._ticks_per_minute, self._seed = ticks_per_minute, seed
        self._bars = {number: _Series.of(bars.get(number, _NONE)) for number in self._instruments}
        self.minutes = {
            number: np.concatenate((warmup.get(number, _NONE), series.rows)) for number, series in self._bars.items()
        }
        self.feed_days = self._feed_days()

    @property
    def first_day(self) -> date:
        return self.feed_days[0].day

    @property
    def day_count(self) -> int:
        return len(self.feed_days)

    def days(self, timeframes_seconds: Sequence[int]) -> Iterator[SimulatedDay]:
        """Every day, with candles of these timeframes."""
        series = [
            self._series(number, timeframe) for timeframe in sorted(set(timeframes_seconds)) for number in self._bars
        ]
        for feed_day in self.feed_days:
            parts = [one.between(feed_day.open_ns, feed_day.close_ns) for one in series]
            yield SimulatedDay(self, feed_day, _ordered(parts))

    def ticks_of(self, instrument: int, *, day: SimulatedDay, from_ns: int) -> Records:
        """The instrument's ticks of a day from `from_ns` on; only the minutes from then on are expanded."""
        minutes = self._bars[instrument].between(day.open_ns, day.close_ns)
        # The last minute always: its last price is what the day closes at where the data breaks off.
        first = min(int(np.searchsorted(minutes["ts_close_ns"], from_ns, side="right")), max(0, len(minutes) - 1))
        one = self._instruments[instrument]
        price = int(minutes["open_paise"][0]) if len(minutes) else None
        ticks = expand_symbol(
            minutes[first:], symbol=one.symbol, instrument=instrument,
            tick_size_paise=tick_of(one, day.day, price_paise=price),
            ticks_per_minute=self._ticks_per_minute, seed=self._seed, volumes_before=volume_before(minutes)[first:],
        )  # fmt: skip
        session = session_of(one, day.day)
        if session is not None:
            ticks = np.concatenate((ticks, closing_ticks(ticks, session)))
        return ticks[int(np.searchsorted(ticks["ts_event_ns"], from_ns)) :]

    def _series(self, number: int, timeframe_seconds: int) -> _Series:
        minutes = self._bars[number]
        if timeframe_seconds == _MINUTE or not len(minutes.rows):
            return minutes
        opens_ns = minutes.rows["ts_open_ns"]
        sessions = sessions_of(np.unique(day_numbers(opens_ns)).tolist(), self._instruments[number])
        opens, closes = sessions.bounds(opens_ns)
        return _Series.of(
            aggregate_batch(
                minutes.rows, timeframe_seconds, session_open_ns=opens, session_close_ns=closes,
                until_ns=int(closes.max()),
            )
        )  # fmt: skip

    def _feed_days(self) -> list[FeedDay]:
        counts: dict[int, int] = {}
        for series in self._bars.values():
            found, numbers = np.unique(day_numbers(series.rows["ts_open_ns"]), return_counts=True)
            for number, count in zip(found.tolist(), numbers.tolist(), strict=True):
                counts[number] = counts.get(number, 0) + count
        sessions = [sessions_of(counts, one).by_day for one in self._instruments.values()]
        return [
            FeedDay(
                date_of_day(number),
                min(by_day[number].open_ns for by_day in sessions if number in by_day),
                max(by_day[number].close_ns for by_day in sessions if number in by_day),
                counts[number],
            )
            for number in sorted(counts)
        ]


class TickMarket:
    """A market of recorded ticks: a day's candles are built from its ticks, as live ones are."""

    def __init__(self, feed: HistoryFeed, instruments: Sequence[Instrument]) -> None:
        self._feed, self._instruments = feed, instruments
        self._instrument_of = {one.symbol: one.instrument_id for one in instruments}
        warmup = feed.warmup(self._instrument_of)
        whole = np.concatenate([warmup, *(self._plan(one).minutes for one in feed.days)])
        self.minutes = {one.instrument_id: _of_instrument(whole, one.instrument_id) for one in instruments}

    @property
    def first_day(self) -> date:
        return self._feed.days[0].day

    @property
    def day_count(self) -> int:
        return len(self._feed.days)

    def days(self, timeframes_seconds: Sequence[int]) -> Iterator["TickDay"]:
        """Every day, with candles of these timeframes."""
        for feed_day in self._feed.days:
            plan = self._plan(feed_day)
            wanted = np.isin(plan.candles["timeframe_seconds"], list(timeframes_seconds))
            yield TickDay(feed_day, plan.candles[wanted], plan.ticks)

    def _plan(self, feed_day: FeedDay) -> DayPlan:
        found = {one.instrument_id: session_of(one, feed_day.day) for one in self._instruments}
        sessions = {number: session for number, session in found.items() if session is not None}
        return plan_day(self._feed.ticks(feed_day, self._instrument_of), sessions=sessions)


class TickDay:
    """See `tradebus.engine.market.MarketDay`."""

    def __init__(self, feed_day: FeedDay, candles: Records, ticks: Records) -> None:
        self.day, self.open_ns, self.close_ns = feed_day.day, feed_day.open_ns, feed_day.close_ns
        self.bars, self.candles, self._ticks = feed_day.bars, candles, ticks

    def ticks_of(self, instrument: int, *, from_ns: int) -> Records:
        mine = (self._ticks["instrument"] == instrument) & (self._ticks["ts_event_ns"] >= from_ns)
        ticks: Records = self._ticks[mine]
        return ticks


def simulated(
    history: LoadedHistory, instruments: Sequence[Instrument], *, ticks_per_minute: int, seed: int
) -> SimulatedMarket | TickMarket:
    """The market in a history file. `instruments` have ids in the order of the file's names."""
    feed = HistoryFeed(history, ticks_per_minute=ticks_per_minute, seed=seed)
    if history.columns.is_ticks:
        return TickMarket(feed, instruments)
    numbers = {one.symbol: one.instrument_id for one in instruments}
    bars, warmup = to_candles(history.columns, instrument_of=numbers), feed.warmup(numbers)
    return SimulatedMarket(
        instruments,
        bars={number: _of_instrument(bars, number) for number in numbers.values()},
        warmup={number: _of_instrument(warmup, number) for number in numbers.values()},
        ticks_per_minute=ticks_per_minute,
        seed=seed,
    )


def _of_instrument(rows: Records, number: int) -> Records:
    mine: Records = rows[rows["instrument"] == number]
    ascending: Records = mine[np.argsort(mine["ts_open_ns"], kind="stable")]
    return ascending


def _ordered(parts: Sequence[Records]) -> Records:
    filled = [part for part in parts if len(part)]
    if len(filled) == 1:
        return filled[0]
    candles = np.concatenate(filled) if filled else _NONE
    return candles[np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))]
