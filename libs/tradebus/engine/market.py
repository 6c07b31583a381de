"""What the engine is run on: recorded days, each with its candles and, where somebody looks, its ticks."""

from dataclasses import dataclass
from datetime import date
from typing import Protocol

import numpy as np

from tradebus.contracts.records import Records


class MarketDay(Protocol):
    """One trading day. `open_ns` and `close_ns` (exclusive) span all its instruments' sessions."""

    @property
    def day(self) -> date: ...

    @property
    def open_ns(self) -> int: ...

    @property
    def close_ns(self) -> int: ...

    @property
    def candles(self) -> Records:
        """CANDLE records of every timeframe that was asked for, ascending by (close, timeframe, instrument)."""

    @property
    def bars(self) -> int:
        """One-minute candles of the day, of all instruments."""

    def ticks_of(self, instrument: int, *, from_ns: int) -> Records:
        """The instrument's TICK records from an instant of the day on, ascending; none earlier."""


@dataclass(slots=True)
class Slice:
    """One step of simulated time: [start_ns, end_ns), the `number`-th of its day."""

    day: MarketDay
    number: int
    start_ns: int
    end_ns: int


def slice_ends(day: MarketDay, slice_ns: int) -> list[int]:
    """The ends of the day's slices: the open, then every `slice_ns`, the last one at the close."""
    ends = np.arange(day.open_ns, day.close_ns, slice_ns, dtype=np.int64).tolist()
    return [*ends, day.close_ns]
