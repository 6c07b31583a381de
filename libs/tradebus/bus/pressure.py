"""Back-pressure: publishers wait rather than trim what a group has not finished.

A stream is bounded by `max_entries` and trimmed by Redis as it grows. Asking Redis at each publish whether that is safe
would double the round trips, so each publisher works on credit. It measures the stream once (depth = entries from the
oldest one that some group has not acknowledged to the newest) and may then publish `credit` entries unasked:

    room = max_entries × 3/4 − depth        credit = min(room, max_entries / 16)

Publishers wait, measuring again, while there is no room. Invariant: with up to four publishers on one stream, each
holding a whole credit that is out of date, depth never exceeds 3/4 + 4/16 = all of `max_entries`, so trimming to
`max_entries` never removes an unfinished entry. A stream no group reads has depth 0 and is trimmed freely.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tradebus.contracts.streams import STREAM_BY_NAME
from tradebus.kernel.errors import Unavailable

DEFAULT_MAX_ENTRIES = 100_000


class BackPressureTimeout(Unavailable):
    """A stream stayed full for longer than the bus waits: its slowest group is not being read."""


@dataclass(slots=True)
class Credit:
    """What one publisher may still add to one stream before it must measure again."""

    max_entries: int
    left: int = 0

    @property
    def full_at(self) -> int:
        """The depth at which publishers wait."""
        return self.max_entries * 3 // 4

    def room(self, depth: int) -> int:
        """Entries that fit at this depth; may be negative."""
        return self.full_at - depth

    def take(self, count: int) -> bool:
        """Uses credit for `count` entries; False where there is not enough and the stream must be measured."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def measured(self, *, depth: int, count: int) -> bool:
        """Renews the credit and takes `count` from it; False where the stream is full. Raises ValueError where it
        never can fit."""
        if count > self.full_at:
            raise ValueError(f"one publish of {count} entries does not fit a stream of {self.max_entries}")
        room = self.room(depth)
        if room < count:
            return False
        self.left = max(0, min(room - count, self.max_entries // 16))
        return True


def limit_of(stream: str, overrides: Mapping[str, int]) -> int:
    """The bound of a stream: an override, or the stream table's; shards have their stream's bound."""
    base = stream.partition(".{")[0]
    for name in (stream, base):
        if name in overrides:
            return overrides[name]
    row = STREAM_BY_NAME.get(base)
    return row.max_entries if row is not None else DEFAULT_MAX_ENTRIES
