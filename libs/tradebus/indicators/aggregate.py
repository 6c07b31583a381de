"""1-minute candles to 3m, 5m, 15m, 30m, 1h and 1d candles, aligned to the session's open.

    closed 1m candles ─► apply ─► candles they complete, candles they correct
           the clock ─► close_until ─► candles whose last minutes had no tick

Invariants:
- A candle spans [open + k · timeframe, open + (k + 1) · timeframe) of its session, cut off at the session's close; its
  `ts_close_ns` is that end, so the last one of a day (15:15 to 15:30 of the hours) closes with the session.
- It is emitted once, when its last minute arrives, when the clock passes its end, or when the instrument's next minute
  lies beyond it, whichever comes first; without a minute it is not emitted.
- It is always the exact aggregate of the minutes as last given. A minute that arrives or changes after its candle was
  closed makes the candle again, flagged CANDLE_CORRECTED; the same minute again makes nothing.
- Every minute is worked in or counted in `counters`.

A session is told by its open instant: the first candle of a later one closes what the earlier one left open. The open
interest of a candle is the last one known in it. Session instants are whole minutes since the epoch.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, TIMEFRAMES_SECONDS, Records
from tradebus.indicators import _aggregate_kernel as core
from tradebus.indicators.candles import NO_CANDLES
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

Instants = int | npt.NDArray[np.int64]
_PROBLEMS = {
    core.BAD_INSTRUMENT: "its instrument is unknown",
    core.BAD_TIMEFRAME: "it is no 1-minute candle that starts on a whole minute",
    core.BAD_SESSION: "its session is empty, longer than the aggregator holds, or not of whole minutes",
}


class AggregateCounters(NamedTuple):
    """1-minute candles since the aggregator was made."""

    taken: int
    outside_session: int  # before the open or at and after the close (pre-open match, closing value)
    earlier_session: int  # a correction of a day that is over


class Aggregator:
    """Higher timeframes of instruments 0 … instruments - 1.

    `timeframes_seconds` are whole minutes above one. A session may last `session_minutes` at most. Memory: 64 bytes per
    minute that an instrument traded in its session.
    """

    def __init__(
        self,
        instruments: int,
        *,
        timeframes_seconds: Sequence[int] = TIMEFRAMES_SECONDS[1:],
        session_minutes: int = 960,
    ) -> None:
        if instruments < 1 or not timeframes_seconds or any(t <= 60 or t % 60 for t in timeframes_seconds):
            raise ValueError("an aggregator needs an instrument and timeframes of whole minutes above one")
        self.instruments = instruments
        self._timeframes_ns = np.array(sorted(set(timeframes_seconds)), np.int64) * NANOSECONDS_PER_SECOND
        self._minutes = np.zeros((instruments, session_minutes), core.MINUTE)
        self._sessions = np.zeros(instruments, core.SESSION)
        self._closed = np.zeros((instruments, len(self._timeframes_ns)), np.int64)
        self._control = np.zeros(4, np.int64)
        self._next_minute_ns = 0

    @property
    def counters(self) -> AggregateCounters:
        return AggregateCounters(*(int(figure) for figure in self._control[core.TAKEN :]))

    def apply(self, candles: Records, *, session_open_ns: Instants, session_close_ns: Instants) -> Records:
        """Works closed 1-minute CANDLE records in, those of one instrument in time order (corrections apart).

        `session_open_ns` and `session_close_ns` are those of the candles' trading day: one instant for the batch, or
        one per candle. Returns the CANDLE records this closes or corrects, by end, then instrument, then timeframe,
        each once. Raises ValueError, with nothing applied, for an unknown instrument, a candle of another timeframe, or
        a session that is too long.
        """
        if not len(candles):
            return NO_CANDLES
        if not candles.flags.c_contiguous:
            candles = np.ascontiguousarray(candles)
        opens, closes = _instants(session_open_ns, len(candles)), _instants(session_close_ns, len(candles))
        problem = core.check(candles, opens, closes, self.instruments, self._minutes.shape[1])
        if problem:
            kind = next(kind for kind in _PROBLEMS if problem & kind)
            raise ValueError(f"candle {problem ^ kind} cannot be aggregated: {_PROBLEMS[kind]}")
        out = np.empty(2 * len(candles) * len(self._timeframes_ns), CANDLE)
        written = core.apply_minutes(
            candles,
            opens,
            closes,
            self._timeframes_ns,
            self._minutes,
            self._sessions,
            self._closed,
            self._control,
            out,
        )
        return _in_order(out[:written])

    def close_until(self, now_ns: int) -> Records:
        """Moves the clock to `now_ns` and returns the CANDLE records closed by it, ordered as `apply` does."""
        if now_ns < self._next_minute_ns:
            return NO_CANDLES
        self._next_minute_ns = (now_ns // core.MINUTE_NS + 1) * core.MINUTE_NS
        out = np.empty(self._closed.size, CANDLE)
        written = core.close_windows(
            now_ns, self._timeframes_ns, self._minutes, self._sessions, self._closed, self._control, out
        )
        return _in_order(out[:written])


def _instants(given: Instants, rows: int) -> npt.NDArray[np.int64]:
    instants = np.atleast_1d(np.ascontiguousarray(given, np.int64))
    if instants.shape not in ((1,), (rows,)):
        raise ValueError(f"session instants are one for the batch or one per candle, not {instants.shape}")
    return instants


def _in_order(candles: Records) -> Records:
    """The batch by end, instrument and timeframe, with the last word only on a candle that was made several times.

    A candle closed and corrected in one batch was never published before, so the last word takes the first one's flag.
    """
    if len(candles) < 2:
        return candles.copy() if len(candles) else NO_CANDLES
    keys = (candles["timeframe_seconds"], candles["instrument"], candles["ts_close_ns"])
    ordered = candles[np.lexsort(keys)]
    same = np.ones(len(ordered) - 1, bool)
    for name in ("timeframe_seconds", "instrument", "ts_open_ns"):
        same &= ordered[name][1:] == ordered[name][:-1]
    if not same.any():
        return ordered
    firsts, lasts = np.concatenate(([True], ~same)), np.concatenate((~same, [True]))
    last_words = ordered[lasts]
    last_words["flags"] = ordered["flags"][firsts]
    return last_words


def aggregate_batch(
    candles: Records,
    timeframe_seconds: int,
    *,
    session_open_ns: Instants,
    session_close_ns: Instants,
    until_ns: int | None = None,
) -> Records:
    """Candles of one higher timeframe from an array of 1-minute CANDLE records, by the live kernels.

    Rows may be of many instruments and days, in any order; the session instants are one for all or one per row. Rows
    outside their session count for nothing. Emits what is closed at `until_ns` (the end of the last minute where None;
    minutes that end later are not looked at): a candle that is still running is left out, never half given. Returns
    CANDLE records by end, then instrument. Raises ValueError as `Aggregator.apply` does.
    """
    if not len(candles):
        return NO_CANDLES
    opens, closes = _instants(session_open_ns, len(candles)), _instants(session_close_ns, len(candles))
    now_ns = int(candles["ts_close_ns"].max()) if until_ns is None else until_ns
    order = np.argsort(candles["ts_open_ns"], kind="stable")
    order = order[candles["ts_close_ns"][order] <= now_ns]
    if not len(order):
        return NO_CANDLES
    ordered = candles[order]
    names, index = np.unique(ordered["instrument"], return_inverse=True)
    ordered["instrument"] = index
    opens = opens[order] if len(opens) > 1 else opens
    closes = closes[order] if len(closes) > 1 else closes
    minutes = int(-(-np.max(closes - opens) // core.MINUTE_NS))
    aggregator = Aggregator(len(names), timeframes_seconds=(timeframe_seconds,), session_minutes=max(1, minutes))
    made = aggregator.apply(ordered, session_open_ns=opens, session_close_ns=closes)
    result = _in_order(np.concatenate((made, aggregator.close_until(now_ns)))).copy()
    # A repeated minute that amends one given before is the batch's own affair, not a correction of something published.
    result["flags"] &= ~np.uint32(CANDLE_CORRECTED)
    result["instrument"] = names[result["instrument"]]
    return result
