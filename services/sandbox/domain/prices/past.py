"""Candles of days before the sandbox began: a pure function of seed, instrument and day, joined to the recorded ones.

Invariants (property-tested): the last candle of a day before closes at the next day's previous close; high and low
enclose open and close; the same question has the same answer for ever.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from services.sandbox.domain.instruments.shape import Ints, ListingKind, Shape
from services.sandbox.domain.prices.bars import MINUTE_NS, Recorder
from services.sandbox.domain.prices.pricing import RATE, YEAR_SECONDS, Floats, option_prices
from services.sandbox.domain.prices.processes import Processes
from services.sandbox.ports import SandboxInstrument
from tradebus.calendar import next_trading_day, previous_trading_day, session_for
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.rng import seed_for
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_midnight_ns

_DAY_SECONDS = 86_400
_DEPTH = timedelta(days=365 * 6)  # further back nothing is known
_DAYS_MAX = 4_000


class Past:
    """`set_anchor` says where the past ends: at this day's previous closes."""

    def __init__(
        self, instruments: Sequence[SandboxInstrument], shape: Shape, processes: Processes, *, seed: int
    ) -> None:
        self._instruments, self._shape, self._seed = instruments, shape, seed
        self._names, self._volatility = processes.names, processes.volatility.copy()
        self._values, self._paths = processes.value.copy(), processes.paths
        self._closes: dict[int, dict[date, float]] = {}
        self._anchor_day = date.min
        self._anchor: Ints = np.zeros(0, np.int64)

    def set_anchor(self, day: date, previous_close_paise: Ints) -> None:
        """`day` is the first that is recorded."""
        self._anchor_day, self._anchor = day, previous_close_paise.copy()

    def candles(
        self, instrument: int, *, timeframe_seconds: int, from_ns: int, to_ns: int, recorded: Recorder
    ) -> Records:
        """CANDLE records of the timeframe, ascending, from_ns <= open < to_ns. Bars are aligned to the session's open;
        a day's bar opens at midnight, Indian time."""
        if to_ns <= from_ns:
            return np.zeros(0, CANDLE)
        parts = list(self._before(instrument, timeframe_seconds, from_ns, to_ns))
        live = recorded.candles(instrument)
        if len(live):
            days = np.array([ist_midnight_ns(int(at)) for at in live["ts_open_ns"]])
            for midnight in np.unique(days):
                parts.append(aggregate(live[days == midnight], timeframe_seconds, self._open_ns(instrument, midnight)))
        found = np.concatenate(parts) if parts else np.zeros(0, CANDLE)
        kept: Records = found[(found["ts_open_ns"] >= from_ns) & (found["ts_open_ns"] < to_ns)]
        return kept

    def _open_ns(self, instrument: int, at_ns: int) -> int:
        session = session_for(ist_date(int(at_ns)), self._instruments[instrument].market_class)
        return session.open_ns if session else int(at_ns)

    def _before(self, instrument: int, timeframe_seconds: int, from_ns: int, to_ns: int) -> Iterator[Records]:
        last = min(ist_date(to_ns), self._anchor_day)
        day = max(ist_date(max(from_ns, 0)), self._anchor_day - _DEPTH)
        if session_for(day, self._instruments[instrument].market_class) is None:
            day = next_trading_day(day)
        while day < last:
            minutes = self._day(instrument, day)
            if len(minutes):
                yield aggregate(minutes, timeframe_seconds, int(minutes["ts_open_ns"][0]))
            day = next_trading_day(day)

    def _day(self, instrument: int, day: date) -> Records:
        """The minutes of one day."""
        listed, shape = self._instruments[instrument], self._shape
        session = session_for(day, listed.market_class)
        if session is None:
            return np.zeros(0, CANDLE)
        opens = np.concatenate([np.arange(start, end, MINUTE_NS) for start, end in session.windows])
        times = np.append(opens, opens[-1] + MINUTE_NS)
        values = self._values_at(int(shape.process[instrument]), day, times)
        edges = self._worth(instrument, values, times)
        if day == previous_trading_day(self._anchor_day):
            edges[-1] = self._anchor[instrument]
        return self._bars(instrument, day, opens, edges)

    def _bars(self, instrument: int, day: date, opens: Ints, edges: Floats) -> Records:
        draw = np.random.default_rng(seed_for(self._seed, "bars", str(self._instruments[instrument].key), str(day)))
        tick, count = float(self._shape.tick[instrument]), len(opens)
        first, last = edges[:-1], edges[1:]
        reach = np.abs(last - first) * draw.uniform(0, 0.5, count) + tick * draw.integers(0, 3, count)
        fall = np.abs(last - first) * draw.uniform(0, 0.5, count) + tick * draw.integers(0, 3, count)
        bars = np.zeros(count, CANDLE)
        bars["open_paise"], bars["close_paise"] = _to_tick(first, tick), _to_tick(last, tick)
        bars["high_paise"] = np.maximum(_to_tick(np.maximum(first, last) + reach, tick), bars["open_paise"])
        bars["high_paise"] = np.maximum(bars["high_paise"], bars["close_paise"])
        low = np.minimum(_to_tick(np.minimum(first, last) - fall, tick), bars["open_paise"])
        bars["low_paise"] = np.minimum(low, bars["close_paise"])
        bars["ts_open_ns"], bars["ts_close_ns"] = opens, opens + MINUTE_NS
        bars["timeframe_seconds"], bars["instrument"] = 60, instrument
        if self._shape.kind[instrument] != ListingKind.INDEX:
            lot = int(self._shape.lot[instrument])
            unit = lot if lot > 1 else max(1, int(2_000_000 // max(first[0], 1)))
            place = np.linspace(-1, 1, count) ** 2
            bars["volume"] = np.maximum(1, draw.lognormal(2.0, 0.6, count) * (0.6 + place)).astype(np.int64) * unit
        if self._shape.expiry_ns[instrument]:
            lots = 5_000 + np.cumsum(draw.integers(-20, 21, count))
            bars["open_interest"] = np.maximum(lots, 1).astype(np.int64) * int(self._shape.lot[instrument])
        return bars

    def _worth(self, instrument: int, values: Floats, times: Ints) -> Floats:
        """The instrument's value at each instant, its underlying's being `values`."""
        shape = self._shape
        if not shape.expiry_ns[instrument]:
            return values
        years = np.maximum(shape.expiry_ns[instrument] - times, 0) / NANOSECONDS_PER_SECOND / YEAR_SECONDS
        forward = np.asarray(values * np.exp(RATE * years), np.float64)
        if shape.kind[instrument] == ListingKind.FUTURE:
            return forward
        count = len(times)
        strike = np.full(count, shape.strike[instrument])
        volatility = np.full(count, self._volatility[shape.process[instrument]] * 1.08)
        call = np.full(count, bool(shape.is_call[instrument]))
        return option_prices(forward, strike, years, volatility, call)

    def _values_at(self, process: int, day: date, times: Ints) -> Floats:
        """The underlying's: from its file where that covers the day, else made up."""
        known = self._paths.get(process)
        if known is not None and known.covers(int(times[0]), int(times[-1])):
            return known.several(times)
        return self._path(process, day, len(times))

    def _path(self, process: int, day: date, points: int) -> Floats:
        """The underlying's value at the edges of the day's minutes: a bridge from its open to its close."""
        close, before = self._close(process, day), self._close(process, previous_trading_day(day))
        draw = np.random.default_rng(seed_for(self._seed, "path", self._names[process], str(day)))
        open_value = before * np.exp(np.log(close / before) * draw.uniform(0.1, 0.5))
        deviation = self._volatility[process] / np.sqrt(252 * max(points - 1, 1))
        walk = np.concatenate([[0.0], np.cumsum(draw.standard_normal(points - 1) * deviation)])
        walk -= walk[-1] * np.linspace(0, 1, points)
        line = np.linspace(np.log(open_value), np.log(close), points)
        return np.asarray(np.exp(line + walk), np.float64)

    def _close(self, process: int, day: date) -> float:
        """The underlying's close of a day before the anchor, walking back from there."""
        closes = self._closes.setdefault(
            process, {previous_trading_day(self._anchor_day): float(self._values[process])}
        )
        if day not in closes:
            at = min(closes)
            for _ in range(_DAYS_MAX):
                if at <= day:
                    break
                draw = np.random.default_rng(seed_for(self._seed, "day", self._names[process], str(at)))
                move = np.clip(draw.standard_normal(), -3, 3) * self._volatility[process] / np.sqrt(252)
                earlier = previous_trading_day(at)
                closes[earlier] = closes[at] * float(np.exp(-move))
                at = earlier
        return closes.get(day, closes[min(closes)])


def aggregate(minutes: Records, timeframe_seconds: int, open_ns: int) -> Records:
    """Longer bars of one day's minutes, aligned to `open_ns`; a day's bar opens at Indian midnight."""
    if timeframe_seconds == 60 or not len(minutes):
        return minutes
    width = timeframe_seconds * NANOSECONDS_PER_SECOND
    number = (minutes["ts_open_ns"] - open_ns) // width
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    ends = np.append(starts[1:], len(minutes)) - 1
    bars: Records = minutes[starts].copy()
    bars["close_paise"], bars["open_interest"] = minutes["close_paise"][ends], minutes["open_interest"][ends]
    bars["high_paise"] = np.maximum.reduceat(minutes["high_paise"], starts)
    bars["low_paise"] = np.minimum.reduceat(minutes["low_paise"], starts)
    bars["volume"] = np.add.reduceat(minutes["volume"], starts)
    bars["timeframe_seconds"] = timeframe_seconds
    bars["ts_open_ns"] = open_ns + number[starts] * width
    bars["ts_close_ns"] = bars["ts_open_ns"] + width
    if timeframe_seconds >= _DAY_SECONDS:
        bars["ts_open_ns"] = ist_midnight_ns(open_ns)
        bars["ts_close_ns"] = bars["ts_open_ns"] + width
    return bars


def _to_tick(price: Floats, tick: float) -> Ints:
    return (np.maximum(np.floor(price / tick + 0.5), 1.0) * tick).astype(np.int64)
