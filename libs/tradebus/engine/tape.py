"""One instrument's day of ticks as execution looks at them: columns, made when somebody first needs them.

Most minutes of a backtest no order or position looks at a single tick. A market made of bars therefore expands none of
them before a trade is alive, and then only from that minute on.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import Records
from tradebus.engine.market import MarketDay, Slice
from tradebus.execution.watching import columns
from tradebus.trading.orders import InstrumentTicks

Int64s = npt.NDArray[np.int64]


class Tape:
    """The ticks of `instrument` from the first slice that was asked for to the day's end.

    `bounds_ns` are the ends of the day's slices, ascending. Indices count from the tape's beginning.
    """

    def __init__(self, day: MarketDay, instrument: int, bounds_ns: Sequence[int], *, from_slice: int) -> None:
        self.records: Records = day.ticks_of(instrument, from_ns=bounds_ns[from_slice - 1] if from_slice else 0)
        self.ticks: InstrumentTicks = columns(self.records, after_ns=0)
        self.first_slice = from_slice
        stamps = self.records["ts_event_ns"]
        self._ends: list[int] = np.searchsorted(stamps, np.asarray(bounds_ns[from_slice:], np.int64)).tolist()

    def span(self, number: int) -> tuple[int, int]:
        """The ticks [first, last) of a slice, by its number in the day."""
        at = number - self.first_slice
        return (self._ends[at - 1] if at else 0, self._ends[at])

    def range_of(self, number: int) -> tuple[int, int, int] | None:
        """The lowest, highest and last price of a slice's ticks; None where it has none."""
        first, last = self.span(number)
        if first == last:
            return None
        lows, highs, closes = self._prices
        at = number - self.first_slice
        return lows[at], highs[at], closes[at]

    @cached_property
    def extremes(self) -> tuple[Int64s, Int64s]:
        """The lowest and highest price of each slice from `first_slice` on; what stands for a slice without ticks means
        nothing. Empty where there are no ticks at all."""
        prices = self.ticks.price_paise
        if not len(prices):
            return prices[:0], prices[:0]
        starts = np.minimum([0, *self._ends[:-1]], len(prices) - 1)
        return np.minimum.reduceat(prices, starts), np.maximum.reduceat(prices, starts)

    @cached_property
    def _prices(self) -> tuple[list[int], list[int], list[int]]:
        """By slice; what stands for a slice without ticks means nothing."""
        lows, highs = self.extremes
        if not len(lows):
            return [], [], []
        ends = np.maximum(np.asarray(self._ends) - 1, 0)
        return lows.tolist(), highs.tolist(), self.ticks.price_paise[ends].tolist()


TapeOf = Callable[[int, Slice], Tape]  # of an instrument, from a slice on
