"""Back-pressure: publishers wait rather than trim what a group has not finished.

A stream is bounded by `max_entries` and trimmed by Redis as it grows. Asking Redis at each publish whether that is safe
would double the round trips, so each publisher works on credit. It measures the stream once (depth = entries from the
oldest one that some group has not acknowledged to the newest) and may then publish `credit` entries unasked:

    room = max_entries × 3/4 − depth        credit = min(room, max_entries / 16)

This is for streams whose overflow is to wait (`waits`); a live dense stream is trimmed to its bound, whoever reads it.
On a stream whose entries are in Postgres too, a group that nobody has read for `silent_seconds` counts no more once the
stream is full (`Silence`): its reader is told, when it comes back, that entries are gone (`Entry.after_gap`).

Publishers wait, measuring again, while there is no room. Invariant: with up to four publishers on one stream, each
holding a whole credit that is out of date, depth never exceeds 3/4 + 4/16 = all of `max_entries`, so trimming to
`max_entries` never removes an unfinished entry. A stream no group reads has depth 0 and is trimmed freely; a group that
is new on a full stream starts with what is left of it.
"""

import logging
from collections.abc import Callable, ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tradebus.bus.port import DEAD_LETTERS_MAX, GroupState, Outgoing, dead_letter_stream
from tradebus.contracts.streams import STREAM_BY_NAME, Overflow
from tradebus.kernel.errors import Unavailable

BACK_PRESSURE_SECONDS = 60.0
SILENT_SECONDS = 300.0
DEFAULT_MAX_ENTRIES = 100_000
_log = logging.getLogger(__name__)


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

    @property
    def half(self) -> int:
        """The depth from which silent readers are spoken of."""
        return self.max_entries // 2

    def take(self, count: int) -> bool:
        """Uses credit for `count` entries; False where there is not enough and the stream must be measured."""
        if count > self.left:
            return False
        self.left -= count
        return True

    def measured(self, *, depth: int, count: int) -> bool:
        """Renews the credit from a measured depth and takes `count`; False where the stream is full.

        Raises ValueError where `count` entries can never fit.
        """
        if count > self.full_at:
            raise ValueError(f"one publish of {count} entries does not fit a stream of {self.max_entries}")
        room = self.full_at - depth
        if room < count:
            return False
        self.left = min(room - count, self.max_entries // 16)
        return True


class Credits(dict[str, Credit]):
    """One publisher's credit for each stream, made when it is first asked for. `overrides` are bounds by stream."""

    def __init__(self, overrides: Mapping[str, int]) -> None:
        super().__init__()
        self._overrides = overrides

    def __missing__(self, stream: str) -> Credit:
        credit = self[stream] = Credit(limit_of(stream, self._overrides))
        return credit

    def at_most(self, stream: str) -> int:
        """Entries of a stream that one publish may well have."""
        return max(1, self[stream].max_entries // 4)


class Silence:
    """Whom one publisher need not wait for. Says each silent group once, and again after it has read."""

    def __init__(self, *, silent_seconds: float, paced: bool) -> None:
        self._silent_seconds, self._paced = silent_seconds, paced
        self._unread_since: dict[tuple[str, str], float] = {}  # groups that nobody has ever read
        self._told: set[tuple[str, str]] = set()

    def concerns(self, stream: str) -> bool:
        """Whether a silent group of the stream may be passed over."""
        row = STREAM_BY_NAME.get(base_of(stream))
        return not self._paced and row is not None and row.overflow is Overflow.WAIT_FOR_LIVING

    def of(self, stream: str, groups: Sequence[GroupState], *, now_seconds: float) -> frozenset[str]:
        """The groups that are passed over once the stream is full. `now_seconds` is monotonic."""
        silent = set()
        for group in groups:
            key = stream, group.name
            if group.silent_seconds is None:  # made and not read yet: it may be on the point of it
                seconds = now_seconds - self._unread_since.setdefault(key, now_seconds)
            else:
                self._unread_since.pop(key, None)
                seconds = group.silent_seconds
            if seconds < self._silent_seconds:
                self._told.discard(key)
                continue
            silent.add(group.name)
            if group.unacknowledged and key not in self._told:
                self._told.add(key)
                _log.error(
                    "stream %s fills: group %r has not read for %.0f s and is %d entries behind; once it is full "
                    "nobody waits for it. Start its service, or remove the group (tradebus streams retire %s)",
                    stream, group.name, seconds, group.unacknowledged, group.name,
                )  # fmt: skip
        return frozenset(silent)


def counts_of(outgoing: Sequence[Outgoing]) -> ItemsView[str, int]:
    """Entries per stream."""
    counts: dict[str, int] = {}
    for one in outgoing:
        counts[one.stream] = counts.get(one.stream, 0) + 1
    return counts.items()


def portions(outgoing: Sequence[Outgoing], at_most: Callable[[str], int]) -> Iterator[Sequence[Outgoing]]:
    """The same in the same order, in parts of which none has more of a stream than `at_most` says; none where there is
    nothing."""
    start, counts = 0, dict[str, int]()
    for end, one in enumerate(outgoing):
        if counts.get(one.stream, 0) >= at_most(one.stream):
            yield outgoing[start:end]
            start, counts = end, {}
        counts[one.stream] = counts.get(one.stream, 0) + 1
    if outgoing:
        yield outgoing[start:]


def limit_of(stream: str, overrides: Mapping[str, int]) -> int:
    """The bound of a stream: an override, or the stream table's; shards have their stream's bound."""
    base = base_of(stream)
    for name in (stream, base):
        if name in overrides:
            return overrides[name]
    if stream.endswith(dead_letter_stream("")):
        return DEAD_LETTERS_MAX
    row = STREAM_BY_NAME.get(base)
    return row.max_entries if row is not None else DEFAULT_MAX_ENTRIES


def waits(stream: str, *, paced: bool) -> bool:
    """Whether publishers of a stream wait for its readers. Those of a stream that is not in the table do."""
    row = STREAM_BY_NAME.get(base_of(stream))
    return paced or row is None or row.overflow is not Overflow.TRIM_LIVE


def base_of(stream: str) -> str:
    """The stream's name without its shard."""
    return stream.partition(".{")[0]


def timed_out(stream: str, *, group: str, depth: int, max_entries: int) -> BackPressureTimeout:
    """The error of a publisher that waited too long."""
    return BackPressureTimeout(
        f"stream {stream}: group {group!r} is {depth} entries behind and the stream holds {max_entries}; "
        f"start the service that reads it, or remove the group (tradebus streams retire {group})"
    )
