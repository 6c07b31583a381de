"""Kite's limits on order calls (BROKERS 6), kept with a little room: 10 a second, 400 a minute, 25 changes an order.

The last guard of one login in one process; the order governor, which counts all of them, is never looser.
"""

from collections import deque

from tradebus.brokers.common.access.pace import WindowPace
from tradebus.kernel.timers import Timers

ORDERS_PER_SECOND, ORDERS_PER_MINUTE, CHANGES_PER_ORDER = 9, 390, 25
_MINUTE_NS = 60_000_000_000


class OrderPace:
    """Order calls of one login, in the order they ask. One that waited for the end of a minute would be worse than one
    that is refused.

    Invariant (tested): in no second do more than `per_second` start.
    """

    def __init__(
        self, *, timers: Timers, per_second: int = ORDERS_PER_SECOND, per_minute: int = ORDERS_PER_MINUTE
    ) -> None:
        self._timers, self._second = timers, WindowPace(((per_second, 1.0),), timers=timers)
        self._starts_ns: deque[int] = deque(maxlen=per_minute)

    async def turn(self, *, urgent: bool = False) -> bool:
        """Waits, a second at the most where nobody floods, and returns True. False, at once, where the minute's calls
        are used up, unless it is `urgent`: getting out is tried in any case."""
        starts_ns = self._starts_ns
        is_full = len(starts_ns) == starts_ns.maxlen
        if not urgent and is_full and starts_ns[0] > self._timers.monotonic_ns() - _MINUTE_NS:
            return False
        start_ns = self._second.booked_ns()
        starts_ns.append(start_ns)
        await self._second.until(start_ns)
        return True
