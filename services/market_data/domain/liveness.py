"""Whether a feed is alive, told by its data and by nothing else (SPEC 3).

Invariants (tested): in a session a class of instruments without a tick for the limit is silent, whatever the socket
says; out of session nothing is; a feed that was just opened has the whole limit before it.
"""

from collections.abc import Iterable


class Liveness:
    """Ages of data per market class, in monotonic nanoseconds of the machine."""

    def __init__(self, market_classes: Iterable[str], *, silent_ns: int) -> None:
        self._silent_ns = silent_ns
        self._heard_ns = dict.fromkeys(market_classes, 0)

    def opened(self, now_ns: int) -> None:
        """A connection is being made: everybody starts afresh."""
        for market_class in self._heard_ns:
            self._heard_ns[market_class] = now_ns

    def heard(self, market_classes: Iterable[str], now_ns: int) -> None:
        for market_class in market_classes:
            self._heard_ns[market_class] = now_ns

    def silent(self, trading: Iterable[str], now_ns: int) -> list[str]:
        """The classes among those that trade now whose data has stopped. A session's first tick has the limit too."""
        trading = set(trading)
        for market_class, heard_ns in self._heard_ns.items():
            if market_class not in trading:
                self._heard_ns[market_class] = max(heard_ns, now_ns)
        return sorted(each for each in trading if now_ns - self._heard_ns[each] >= self._silent_ns)
