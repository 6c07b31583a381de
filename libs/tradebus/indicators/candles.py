"""Ticks to 1-minute candles.

    ticks of many instruments ─► apply ─► corrections of closed candles
                  the clock ─► close_until ─► closed candles

Invariants:
- Nothing but `close_until` closes a bar: the last bar of a session is emitted at its boundary, without a next tick.
- The last word on a bar depends on the accepted ticks alone, not on how they were cut into batches.
- Open, high, low and close are those of the bar's ticks in event time, whatever order they arrived in (at equal times
  the earlier arrival opens, the later one closes). A bar without a tick is not emitted.
- A bar's volume is the exchange's cumulative volume at its end less that at the end of the bar before, never negative.
- Every tick is worked in or counted in `counters`.

A bar is named by its own start; several minutes may be open at once. A tick is worked in when its minute lies within
eight minutes before the clock (late: the candle is emitted again, flagged CANDLE_CORRECTED, as is the next candle when
its volume counts from the amended one) or within the eight minutes from the clock on. So move the clock first:
`close_until(now)`, then `apply(ticks)`; after a night without a call a tick of the morning would be dropped as ahead.

The event time must be the exchange's time of the packet. With the time of the last trade, a quote of an illiquid
contract looks hours late and is dropped.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tradebus.contracts.records import CANDLE, Records
from tradebus.indicators import _candle_kernel as core
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND

NO_CANDLES: Records = np.empty(0, CANDLE)
NO_CANDLES.flags.writeable = False


class CandleCounters(NamedTuple):
    """Ticks since the builder was made. `accepted` includes `amended`, the late ones that were worked in."""

    accepted: int
    amended: int
    dropped_late: int  # more than eight bars behind the clock
    dropped_ahead: int  # eight bars or more ahead of the clock
    dropped_price: int  # a price of 0 or below


class CandleBuilder:
    """Candles of `timeframe_seconds` (a divisor of 60) for instruments 0 … instruments - 1.

    `start_ns` is the clock to begin with: a bar that ends at or before it counts as closed. About 3 KB of memory per
    instrument that trades.
    """

    def __init__(self, instruments: int, *, start_ns: int, timeframe_seconds: int = 60) -> None:
        if instruments < 1 or timeframe_seconds < 1 or 60 % timeframe_seconds:
            raise ValueError("a builder needs an instrument and a timeframe that divides 60 s")
        self.instruments = instruments
        self._slots = np.zeros((instruments, core.SLOTS), core.SLOT)
        self._slots["bar"] = core.NEVER
        self._ledgers = np.zeros(instruments, core.LEDGER)
        for name in ("carry_bar", "from_open_day", "seed_bar"):
            self._ledgers[name] = core.NEVER
        self._control = np.zeros(core.LIST + instruments * core.SLOTS, np.int64)
        self._bar_ns = timeframe_seconds * NANOSECONDS_PER_SECOND
        self._control[core.BAR_NS] = self._bar_ns
        self._control[core.BOUNDARY] = start_ns // self._bar_ns
        self._open_bar_ends_ns = (start_ns // self._bar_ns + 1) * self._bar_ns

    @property
    def clock_ns(self) -> int:
        """Start of the first bar that is not closed."""
        return self._open_bar_ends_ns - self._bar_ns

    @property
    def open_bars(self) -> int:
        """Bars that have a tick and are not closed."""
        return int(self._control[core.OPEN_BARS])

    @property
    def counters(self) -> CandleCounters:
        return CandleCounters(*(int(figure) for figure in self._control[core.ACCEPTED : core.LIST]))

    def begin_day(self, day_open_ns: int, instruments: Sequence[int] | None = None) -> None:
        """Says that the ticks of `instruments` (all where None) are complete from the start of this trading day.

        Called before the day's first tick. Their first bar then counts its volume from 0. Without it (a feed taken up
        at noon) the first bar counts from the first cumulative volume seen, so that half a day's volume does not fall
        on one minute.
        """
        chosen = slice(None) if instruments is None else np.asarray(instruments)
        self._ledgers["from_open_day"][chosen] = (day_open_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY

    def apply(self, ticks: Records) -> Records:
        """Works a batch of TICK records in, in arrival order. Returns corrected CANDLE records, mostly none.

        Corrections come by time, then instrument, each bar once per call. A late tick that changes no price, volume or
        open interest corrects nothing. Applying a batch again changes nothing but `tick_count`. Raises ValueError,
        with nothing applied, for an instrument the builder does not have.
        """
        if not ticks.flags.c_contiguous:
            ticks = np.ascontiguousarray(ticks)
        listed = core.apply_ticks(ticks, self._slots, self._ledgers, self._control)
        if listed == 0:
            return NO_CANDLES
        if listed < 0:
            raise _bad_instrument(ticks, -1 - listed, self.instruments)
        self._control[core.LIST : core.LIST + listed].sort()
        candles = np.empty(listed, CANDLE)
        core.write_listed(self._slots, self._control, candles)
        return candles

    def close_until(self, now_ns: int) -> Records:
        """Moves the clock to `now_ns` and returns the CANDLE records closed by it, by time, then instrument.

        An instant before the clock changes nothing.
        """
        if now_ns < self._open_bar_ends_ns:
            return NO_CANDLES
        bar = now_ns // self._bar_ns
        self._open_bar_ends_ns = (bar + 1) * self._bar_ns
        was_open = self.open_bars
        candles = np.empty(was_open, CANDLE)
        core.close_bars(self._slots, self._ledgers, self._control, bar, candles)
        return candles[: was_open - self.open_bars]

    def seed(self, candles: Records, *, from_open: bool) -> None:
        """Takes up closed candles of an earlier run, on a fresh builder, before any tick.

        Restart: make the builder with `start_ns` = end of the last minute stored, seed the day's stored candles, then
        apply the ticks of the last minutes again (the open one is rebuilt; those of seeded minutes change nothing).

        A seeded bar keeps its volume; a late tick can still widen its high and low. With `from_open` the candles are
        the day's from its first minute on, without a hole: their sum is where the next bar's volume counts from.
        Otherwise it counts from the ticks applied again, else from the first cumulative volume seen. Raises ValueError
        for a candle that ends after the clock, an unknown instrument, or two of one bar.
        """
        ordered = candles[np.argsort(candles["ts_open_ns"], kind="stable")]
        if np.any(ordered["timeframe_seconds"] != self._bar_ns // NANOSECONDS_PER_SECOND):
            raise ValueError(f"the builder is seeded with candles of {self._bar_ns // NANOSECONDS_PER_SECOND} s")
        refused = core.seed_bars(ordered, self._slots, self._ledgers, self._control, from_open)
        if refused < 0:
            row = ordered[-1 - refused]
            raise ValueError(
                f"candle of instrument {row['instrument']} at {row['ts_open_ns']} cannot seed: unknown instrument, "
                "not yet closed, or not after the one before"
            )


def _bad_instrument(ticks: Records, row: int, instruments: int) -> ValueError:
    return ValueError(f"tick {row}: instrument {ticks[row]['instrument']} is not in 0 … {instruments - 1}")


def build_candles(ticks: Records, instruments: int, *, timeframe_seconds: int = 60, from_open: bool = True) -> Records:
    """Candles of a whole array of TICK records by the same kernels, event time being the clock.

    Returns CANDLE records in the order a live builder would have emitted them, with every bar closed at the end.
    With `from_open` the ticks of each day are complete from its start.
    """
    if not len(ticks):
        return NO_CANDLES
    bar_ns = timeframe_seconds * NANOSECONDS_PER_SECOND
    bars = np.maximum.accumulate(ticks["ts_event_ns"] // bar_ns)
    starts = np.concatenate(([0], np.flatnonzero(bars[1:] != bars[:-1]) + 1, [len(ticks)]))
    builder = CandleBuilder(instruments, start_ns=int(bars[0]) * bar_ns, timeframe_seconds=timeframe_seconds)
    emitted: list[Records] = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        bar_open_ns = int(bars[start]) * bar_ns
        emitted.append(builder.close_until(bar_open_ns))
        if from_open:
            builder.begin_day(bar_open_ns)
        emitted.append(builder.apply(ticks[start:end]))
    emitted.append(builder.close_until((int(bars[-1]) + 1) * bar_ns))
    return np.concatenate(emitted)
