"""Kite's limits on order calls (BROKERS 6), kept with a little room: 10 a second, 400 a minute, 25 changes an order."""

import asyncio
from collections import deque

from tradebus.kernel.clock import monotonic_ns

ORDERS_PER_SECOND, ORDERS_PER_MINUTE, CHANGES_PER_ORDER = 8, 390, 25
_SECOND_NS = 1_000_000_000


class OrderPace:
    """Order calls of one login, in the order they ask.

    Invariant (tested): in no second do more than ORDERS_PER_SECOND start.
    """

    def __init__(self) -> None:
        self._starts_ns: deque[int] = deque(maxlen=ORDERS_PER_MINUTE)

    async def turn(self, *, urgent: bool = False) -> bool:
        """Waits, a second at the most where nobody floods, and returns True. False, at once, where the minute's calls
        are used up, unless it is `urgent`: getting out is tried in any case."""
        now_ns = monotonic_ns()
        starts = self._starts_ns
        if not urgent and len(starts) == ORDERS_PER_MINUTE and starts[0] > now_ns - 60 * _SECOND_NS:
            return False
        start_ns = now_ns
        if len(starts) >= ORDERS_PER_SECOND:
            start_ns = max(now_ns, starts[-ORDERS_PER_SECOND] + _SECOND_NS)
        starts.append(start_ns)
        if start_ns > now_ns:
            await asyncio.sleep((start_ns - now_ns) / 1e9)
        return True
