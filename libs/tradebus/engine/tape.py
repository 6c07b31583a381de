"""One instrument's day of ticks as execution looks at them: columns, made when somebody first needs them.

Most minutes of a backtest no order or position looks at a single tick. A market made of bars therefore expands none of
them before a trade is alive, and then only from that minute on.
"""

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np

from tradebus.contracts.records import Records
from tradebus.engine.market import MarketDay
from tradebus.execution.watching import columns
from tradebus.trading.orders import InstrumentTicks


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

    def index_of(self, at_ns: int) -> int:
        """The first tick at or after an instant."""
        return bisect_left(self.ticks.at_ns, at_ns)
