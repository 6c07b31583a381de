"""Live ticks to candles of every timeframe, closed by the clock: the kernels of the recorded feeds, fed by arrival.

Invariants (property-tested): whatever way a day's ticks are cut into batches, the last word on each candle is what the
whole day planned at once gives; a tick outside its instrument's session makes nothing; a bar closes by the clock alone;
what history put right is the last word on a minute, and every longer candle is the aggregate of those.
"""

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradebus.calendar import Listed, session_of
from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, Records
from tradebus.indicators.aggregate import Aggregator
from tradebus.indicators.candles import CandleBuilder
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
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
    """One trading day of some instruments, by id: each closes with its own contract."""

    def __init__(self, listed: Mapping[int, Listed], *, start_ns: int) -> None:
        count = max(listed, default=0) + 1
        self.day: date = ist_date(start_ns)
        self.opens_ns, self.closes_ns = np.zeros(count, np.int64), np.zeros(count, np.int64)
        for instrument, one in listed.items():
            session = session_of(one, self.day)
            if session is not None:
                self.opens_ns[instrument], self.closes_ns[instrument] = session.open_ns, session.close_ns
        self._count = count
        self._builder = CandleBuilder(count, start_ns=start_ns)
        self._aggregator = Aggregator(count, session_minutes=_SESSION_MINUTES)
        self._restored = np.empty(0, np.int64)
        open_ns = self.open_ns
        if start_ns <= open_ns:
            self._builder.begin_day(open_ns)

    @property
    def clock_ns(self) -> int:
        """Start of the first minute that is not closed."""
        return self._builder.clock_ns

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
        corrected = self._not_restored(self._builder.apply(kept))
        closed = self._builder.close_until(until_ns)
        minutes = np.concatenate((early, corrected, closed)) if len(early) + len(corrected) else closed
        whole = self._aggregate(minutes)
        rest = self._aggregator.close_until(min(until_ns, self._builder.clock_ns))
        if not len(minutes) + len(whole) + len(rest):
            return Made(kept, np.empty(0, CANDLE))
        candles = np.concatenate((minutes, whole, rest))
        order = np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))
        return Made(kept, candles[order])

    def restore(self, minutes: Records, *, changed: Mask) -> Records:
        """Takes in one-minute candles of the day as history has them, whatever was made of them before; `changed` says
        which of them the book did not have like that. Returns those and the longer candles that they change, flagged
        as corrected, by (close, timeframe, id). What is not closed yet is left to the ticks."""
        mine = self._in_session(minutes["instrument"], minutes["ts_open_ns"])
        mine &= minutes["ts_close_ns"] <= self._builder.clock_ns
        own = minutes[mine]
        self._aggregator.close_until(self._builder.clock_ns)
        whole = self._aggregate(own[np.argsort(own["ts_open_ns"], kind="stable")])
        self._restored = np.union1d(self._restored, _names(own))
        candles = np.concatenate((minutes[mine & changed], whole))
        candles["flags"] |= CANDLE_CORRECTED
        return candles[np.lexsort((candles["instrument"], candles["timeframe_seconds"], candles["ts_close_ns"]))]

    def is_trading(self, instrument: int, now_ns: int) -> bool:
        return bool(self.opens_ns[instrument] <= now_ns < self.closes_ns[instrument])

    def _not_restored(self, corrected: Records) -> Records:
        """Without what a late tick makes of a minute that history has had its word on."""
        if not len(corrected) or not len(self._restored):
            return corrected
        return corrected[~np.isin(_names(corrected), self._restored)]

    def _aggregate(self, minutes: Records) -> Records:
        if not len(minutes):
            return np.empty(0, CANDLE)
        which = minutes["instrument"]
        return self._aggregator.apply(
            minutes, session_open_ns=self.opens_ns[which], session_close_ns=self.closes_ns[which]
        )

    def _in_session(self, instruments: Ints, ts_ns: Ints) -> Mask:
        """Shape [rows], bool: a known instrument, inside its session."""
        known = (instruments >= 0) & (instruments < self._count)
        which = np.where(known, instruments, 0)
        inside: Mask = known & (ts_ns >= self.opens_ns[which]) & (ts_ns < self.closes_ns[which])
        return inside


def _names(minutes: Records) -> Ints:
    """Shape [rows]: one number per minute and instrument."""
    names: Ints = (minutes["ts_open_ns"] // _MINUTE_NS) << 24 | minutes["instrument"]
    return names
