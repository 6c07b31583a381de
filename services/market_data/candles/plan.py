"""A day cut into slices.

Invariants (property-tested): slices are half-open, contiguous and never empty in time; every tick lies in exactly one
slice, the one whose [start, end) holds its event time; every candle lies in exactly one, the one whose (start, end]
holds its close; so whatever the cuts, the slices' ticks and candles put together are the day's.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import TICK, Records

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """What one step of event time publishes: TICK records of [start_ns, end_ns), CANDLE records closing in it."""

    start_ns: int
    end_ns: int
    ticks: Records
    candles: Records
    minutes: Records  # the one-minute candles among them, which are stored


def slice_of_candles(candles: Records) -> SlicePlan:
    """Candles to store that belong to no step of this feed: a warm-up, or a slice read back."""
    return SlicePlan(0, 0, np.empty(0, TICK), candles, candles[candles["timeframe_seconds"] == 60])


@dataclass(frozen=True)
class DayPlan:
    """All a day publishes: ticks ascending by event time, candles ascending by (close, timeframe, instrument)."""

    ticks: Records
    candles: Records
    minutes: Records = field(init=False, repr=False)
    _tick_ns: Ints = field(init=False, repr=False)
    _close_ns: Ints = field(init=False, repr=False)
    _minute_close_ns: Ints = field(init=False, repr=False)

    def __post_init__(self) -> None:
        minutes = self.candles[self.candles["timeframe_seconds"] == 60]
        object.__setattr__(self, "minutes", minutes)
        # Strided record fields are slow to search: contiguous copies, once a day.
        object.__setattr__(self, "_tick_ns", np.ascontiguousarray(self.ticks["ts_event_ns"]))
        object.__setattr__(self, "_close_ns", np.ascontiguousarray(self.candles["ts_close_ns"]))
        object.__setattr__(self, "_minute_close_ns", np.ascontiguousarray(minutes["ts_close_ns"]))

    def cut(self, start_ns: int, end_ns: int) -> SlicePlan:
        """The slice [start_ns, end_ns)."""
        bounds = (start_ns, end_ns)
        first, last = self._tick_ns.searchsorted(bounds)
        opening, closing = self._close_ns.searchsorted(bounds, side="right")
        early, late = self._minute_close_ns.searchsorted(bounds, side="right")
        return SlicePlan(
            start_ns, end_ns, self.ticks[first:last], self.candles[opening:closing], self.minutes[early:late]
        )

    def next_event_ns(self, start_ns: int) -> int | None:
        """The earliest end of a slice from `start_ns` on that holds something; None where the day holds no more."""
        tick, candle = self._tick_ns.searchsorted(start_ns), self._close_ns.searchsorted(start_ns, side="right")
        ends = []
        if tick < len(self._tick_ns):
            ends.append(int(self._tick_ns[tick]) + 1)
        if candle < len(self._close_ns):
            ends.append(int(self._close_ns[candle]))
        return min(ends, default=None)


def grid_end_ns(start_ns: int, *, open_ns: int, close_ns: int, slice_ns: int) -> int:
    """The end of the day's slice that starts at `start_ns`, which is before the close.

    The opening slice, empty, ends at the open; from there on they end every `slice_ns`, the last one at the close.
    """
    if start_ns < open_ns:
        return open_ns
    passed = (start_ns - open_ns) // slice_ns
    return min(open_ns + (passed + 1) * slice_ns, close_ns)
