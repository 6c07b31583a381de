"""What each instrument traded at last: columns by instrument, filled from every slice of ticks.

Found again after a start in the newest slices of the stream. What came late changes nothing.
"""

from collections.abc import Iterable

import numpy as np

from tradebus.bus.port import Entry
from tradebus.contracts.records import TICK, Records, decode
from tradebus.risk.terms import LastTraded

SLICES_READ = 1_000  # after a start
_TICKS_WAITING_MAX = 4_096
_NEVER = 0


class LastTicksSeen:
    """`tradebus.risk.terms.LastTicks`."""

    def __init__(self) -> None:
        self._rows: Records = np.zeros(256, TICK)
        self._waiting: list[bytes] = []  # batches that nobody has asked about yet
        self._ticks_waiting = 0

    def of(self, instrument: int) -> LastTraded | None:
        self._fold()
        if not 0 <= instrument < self._rows.size:
            return None
        row = self._rows[instrument]
        ts_ns = int(row["ts_event_ns"])
        if ts_ns == _NEVER:
            return None
        return LastTraded(ts_ns, int(row["price_paise"]), int(row["bid_paise"]), int(row["ask_paise"]))

    def take(self, batch: Records) -> None:
        """A slice's ticks, as they came. Looked at together with those after it: ticks are many, questions few."""
        if not batch.size:
            return
        self._waiting.append(batch.tobytes())  # small arrays of records are slow to put together
        self._ticks_waiting += batch.size
        if self._ticks_waiting >= _TICKS_WAITING_MAX:
            self._fold()

    def _fold(self) -> None:
        if not self._waiting:
            return
        batch = np.frombuffer(b"".join(self._waiting), TICK)
        self._waiting, self._ticks_waiting = [], 0
        numbers = batch["instrument"]
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
