"""What each instrument traded at last: columns by instrument, filled from every slice of ticks.

Found again after a start in the newest slices of the stream. What came late changes nothing.
"""

from collections.abc import Iterable

import numpy as np

from tradebus.bus.port import Entry
from tradebus.contracts.records import TICK, Records, decode
from tradebus.risk.terms import LastTraded

SLICES_READ = 1_000  # after a start
_NEVER = 0


class LastTicksSeen:
    """`tradebus.risk.terms.LastTicks`."""

    def __init__(self) -> None:
        self._rows: Records = np.zeros(256, TICK)

    def of(self, instrument: int) -> LastTraded | None:
        if not 0 <= instrument < self._rows.size:
            return None
        row = self._rows[instrument]
        ts_ns = int(row["ts_event_ns"])
        if ts_ns == _NEVER:
            return None
        return LastTraded(ts_ns, int(row["price_paise"]), int(row["bid_paise"]), int(row["ask_paise"]))

    def take(self, batch: Records) -> None:
        """A slice's ticks, as they came."""
        numbers = batch["instrument"]
        if not numbers.size:
            return
        if int(numbers.max()) >= self._rows.size:
            grown = np.zeros(2 * int(numbers.max()) + 1, TICK)
            grown[: self._rows.size] = self._rows
            self._rows = grown
        # The latest of each instrument, of equals the one that came last.
        order = np.lexsort((np.arange(numbers.size), batch["ts_event_ns"], numbers))
        last = order[np.flatnonzero(np.append(np.diff(numbers[order]) != 0, True))]
        newer = batch["ts_event_ns"][last] >= self._rows["ts_event_ns"][numbers[last]]
        last = last[newer]
        self._rows[numbers[last]] = batch[last]

    def find_again(self, entries: Iterable[Entry]) -> None:
        """The newest slices, in their order; one that cannot be read is among the dead letters."""
        for entry in entries:
            if entry.watermark_ns is None:
                continue
            try:
                self.take(decode(entry.body, TICK))
            except ValueError:
                continue
