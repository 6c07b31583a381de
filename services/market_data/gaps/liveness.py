"""Whether a feed is alive, told by its data and by nothing else (SPEC 3).

Invariants (tested): in a session a group (one exchange and class on one connection) without data for the limit is
silent, whatever its socket says and whoever else ticks; out of session nothing is; a group whose connection was just
opened has the whole limit before it.
"""

from collections.abc import Iterable

from services.market_data.gaps.gap import FeedGroup


class Liveness:
    """Ages of data per group, in monotonic nanoseconds of the machine."""

    def __init__(self, groups: Iterable[FeedGroup], *, silent_ns: int) -> None:
        self._silent_ns = silent_ns
        self._heard_ns = dict.fromkeys(groups, 0)

    def opened(self, now_ns: int, *, connections: Iterable[int] | None = None) -> None:
        """These connections (all where None) are being made: their groups start afresh."""
        chosen = None if connections is None else set(connections)
        for group in self._heard_ns:
            if chosen is None or group.connection in chosen:
                self._heard_ns[group] = now_ns

    def heard(self, groups: Iterable[FeedGroup], now_ns: int) -> None:
        for group in groups:
            self._heard_ns[group] = now_ns

    def silent(self, trading: Iterable[FeedGroup], now_ns: int) -> list[FeedGroup]:
        """The groups among those that trade now whose data has stopped. A session's first tick has the limit too."""
        trading = set(trading)
        for group, heard_ns in self._heard_ns.items():
            if group not in trading:
                self._heard_ns[group] = max(heard_ns, now_ns)
        return sorted(each for each in trading if now_ns - self._heard_ns[each] >= self._silent_ns)
