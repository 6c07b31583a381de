"""One-minute candles of the day under way and of the last few days, recorded from the quotes. Flat memory: days beyond
the limit are forgotten."""

from collections import deque
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from services.sandbox.domain.instruments.shape import Ints
from tradebus.contracts.records import CANDLE, Records

MINUTE_NS = 60_000_000_000
Small = npt.NDArray[np.int32]


@dataclass(slots=True)
class DayBars:
    """Arrays of shape [minutes, instruments]; an open of 0 is a minute without a trade. Prices in paise."""

    day: date
    open_ns: int
    open: Small
    high: Small
    low: Small
    close: Small
    volume: Ints
    interest: Ints

    @classmethod
    def empty(cls, day: date, open_ns: int, minutes: int, instruments: int) -> "DayBars":
        def small() -> Small:
            return np.zeros((minutes, instruments), np.int32)

        def large() -> Ints:
            return np.zeros((minutes, instruments), np.int64)

        return cls(day, open_ns, small(), small(), small(), small(), large(), large())

    def candles(self, instrument: int) -> Records:
        """CANDLE records of the minutes that traded."""
        traded = np.flatnonzero(self.open[:, instrument])
        found = np.zeros(len(traded), CANDLE)
        for name in ("open", "high", "low", "close"):
            found[f"{name}_paise"] = getattr(self, name)[traded, instrument]
        found["volume"], found["open_interest"] = self.volume[traded, instrument], self.interest[traded, instrument]
        found["ts_open_ns"] = self.open_ns + traded * MINUTE_NS
        found["ts_close_ns"] = found["ts_open_ns"] + MINUTE_NS
        found["timeframe_seconds"], found["instrument"] = 60, instrument
        return found


class Recorder:
    """Writes the steps' quotes into the day's minutes."""

    def __init__(self, instruments: int, *, days_kept: int) -> None:
        self._count = instruments
        self._days: deque[DayBars] = deque(maxlen=days_kept)
        self._volume: Ints = np.zeros(instruments, np.int64)

    def begin_day(self, day: date, open_ns: int, close_ns: int) -> None:
        """`open_ns` to `close_ns` span every market class' session."""
        self._days.append(DayBars.empty(day, open_ns, -(-(close_ns - open_ns) // MINUTE_NS), self._count))
        self._volume[:] = 0

    def record(self, which: Ints, quotes: Records, now_ns: int, *, came_from: Ints | None = None) -> None:
        """The quotes of `which` changed in the step that ended at `now_ns`. Where one step is a whole minute,
        `came_from` holds the prices before it: a bar then spans the way between."""
        if not self._days or not len(which):
            return
        today = self._days[-1]
        minute = (now_ns - 1 - today.open_ns) // MINUTE_NS
        if not 0 <= minute < len(today.open):
            return
        price = quotes["price_paise"][which].astype(np.int32)
        before = today.open[minute, which]
        fresh = before == 0
        first = price if came_from is None else came_from.astype(np.int32)
        today.open[minute, which] = np.where(fresh, first, before)
        today.high[minute, which] = np.maximum(today.high[minute, which], np.maximum(price, first))
        low, reached = today.low[minute, which], np.minimum(price, first)
        today.low[minute, which] = np.where(fresh, reached, np.minimum(low, reached))
        today.close[minute, which] = price
        volume = quotes["volume_cumulative"][which]
        today.volume[minute, which] += volume - self._volume[which]
        self._volume[which] = volume
        today.interest[minute, which] = quotes["open_interest"][which]

    def candles(self, instrument: int) -> Records:
        """Every kept minute of the instrument, ascending."""
        parts = [day.candles(instrument) for day in self._days]
        return np.concatenate(parts) if parts else np.zeros(0, CANDLE)
