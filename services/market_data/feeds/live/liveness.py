"""Whether a feed is alive, told by its data and by nothing else (SPEC 3).

Invariants (tested): in a session a class of instruments without a tick for the limit is silent, whatever the socket
says; out of session nothing is; a feed that was just opened has the whole limit before it.
"""

from collections.abc import Iterable

from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND


class Gap:
    """What a lost connection left out: from the minute of the last tick before it to the first whole minute after."""

    def __init__(self) -> None:
        self._connections = 0
        self._last_tick_ns = 0
        self._from_ns = self._back_ns = 0

    def after(self, connections: int, ticked: bool, now_ns: int) -> tuple[int, int] | None:
        """Told of every turn. The span [from, to) of whole minutes to read from history, once for each gap."""
        if connections != self._connections:
            if self._connections and self._last_tick_ns and not self._from_ns:
                self._from_ns = self._last_tick_ns // _MINUTE_NS * _MINUTE_NS
            self._connections, self._back_ns = connections, now_ns
        if ticked:
            self._last_tick_ns = now_ns
        to_ns = self._back_ns // _MINUTE_NS * _MINUTE_NS + _MINUTE_NS
        if not self._from_ns or not ticked or now_ns < to_ns + _MINUTE_NS // 2:
            return None
        span, self._from_ns = (self._from_ns, to_ns), 0
        return span


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
