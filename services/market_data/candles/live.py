"""Live ticks to candles of every timeframe, closed by the clock: the kernels of the recorded feeds, fed by arrival.

Invariants (property-tested): whatever way a day's ticks are cut into batches, the last word on each candle is what the
whole day planned at once gives; a tick outside its instrument's session makes nothing; a bar closes by the clock alone.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradebus.calendar import session_for
from tradebus.contracts.records import CANDLE, Records
from tradebus.indicators.aggregate import Aggregator
from tradebus.indicators.candles import CandleBuilder
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date

Ints = npt.NDArray[np.int64]
_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_SESSION_MINUTES = 24 * 60
# Longer than a turn takes: the clock is moved this far before ticks are worked in, the rest of the way after.
_BEHIND_NS = 3 * _MINUTE_NS


class Made(NamedTuple):
    """What a turn came to: the ticks that count, and CANDLE records of every timeframe, by (close, timeframe, id)."""

    ticks: Records
    candles: Records

    @property
    def minutes(self) -> Records:
        minutes: Records = self.candles[self.candles["timeframe_seconds"] == 60]
        return minutes


class LiveCandles:
    """One trading day of some instruments: `market_classes` by instrument id."""

    def __init__(self, market_classes: Mapping[int, str], *, start_ns: int) -> None:
        count = max(market_classes, default=0) + 1
        self.day: date = ist_date(start_ns)
        self.opens_ns, self.closes_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for instrument, market_class in market_classes.items():
            session = session_for(self.day, market_class)
            if session is not None:
                self.opens_ns[instrument], self.closes_ns[instrument] = session.open_ns, session.close_ns
        self._count = count
        self._builder = CandleBuilder(count, start_ns=start_ns)
        self._aggregator = Aggregator(count, session_minutes=_SESSION_MINUTES)
        open_ns = self.open_ns
        if start_ns <= open_ns:
            self._builder.begin_day(open_ns)

    @property
    def open_ns(self) -> int:
        """The earliest open of the day; 0 where nothing trades."""
        trading = self.opens_ns[self.closes_ns > 0]
        return int(trading.min()) if len(trading) else 0

    @property
    def close_ns(self) -> int:
        return int(self.closes_ns.max())

    def seed(self, minutes: Records, *, from_open: bool) -> None:
        """Takes up the day's closed one-minute candles, before any tick. `from_open`: they are all there are."""
        own = minutes[self._in_session(minutes["instrument"], minutes["ts_open_ns"])]
        own = own[own["ts_close_ns"] <= self._builder.clock_ns]
        if len(own):
            self._builder.seed(own, from_open=from_open)
            self._aggregate(own[np.argsort(own["ts_open_ns"], kind="stable")])
            self._aggregator.close_until(self._builder.clock_ns)

    def turn(self, ticks: Records, *, until_ns: int) -> Made:
        """Works in what arrived and closes what ends at or before `until_ns`."""
        kept = ticks[self._in_session(ticks["instrument"], ticks["ts_event_ns"])] if len(ticks) else ticks
        early = self._builder.close_until(until_ns - _BEHIND_NS)
        corrected = self._builder.apply(kept)
        closed = self._builder.close_until(until_ns)
        minutes = np.concatenate((early, corrected, closed)) if len(early) + len(corrected) else closed
        whole = self._aggregate(minutes)
        rest = self._aggregator.close_until(min(until_ns, self._builder.clock_ns))
        if not len(minutes) + len(whole) + len(rest):
            return Made(kept, np.empty(0, CANDLE))
        candles = np.concatenate((minutes, whole, rest))
        order = np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))
        return Made(kept, candles[order])

    def is_trading(self, instrument: int, now_ns: int) -> bool:
        return bool(self.opens_ns[instrument] <= now_ns < self.closes_ns[instrument])

    def _aggregate(self, minutes: Records) -> Records:
        if not len(minutes):
            return np.empty(0, CANDLE)
        which = minutes["instrument"]
        return self._aggregator.apply(
            minutes, session_open_ns=self.opens_ns[which], session_close_ns=self.closes_ns[which]
        )

    def _in_session(self, instruments: Ints, ts_ns: Ints) -> npt.NDArray[np.bool_]:
        """Shape [rows], bool: a known instrument, inside its session."""
        known = (instruments >= 0) & (instruments < self._count)
        which = np.where(known, instruments, 0)
        inside: npt.NDArray[np.bool_] = known & (ts_ns >= self.opens_ns[which]) & (ts_ns < self.closes_ns[which])
        return inside
