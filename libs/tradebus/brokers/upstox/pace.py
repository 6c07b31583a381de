"""How fast order calls may leave (BROKERS 6: 10 a second). A burst leaves at once; what is too much for it waits."""

import asyncio
from collections import deque

from tradebus.kernel.clock import monotonic_ns

ORDERS_PER_SECOND = 9
_SECOND_NS = 1_000_000_000


class OrderPace:
    """Invariant (tested): no second, wherever it begins, sees more than `per_second` starts."""

    def __init__(self, per_second: int = ORDERS_PER_SECOND) -> None:
        self._starts_ns: deque[int] = deque(maxlen=per_second)

    async def turn(self) -> None:
        """Returns when the caller may start. Callers start in the order they came."""
        now_ns = monotonic_ns()
        start_ns = now_ns
        if len(self._starts_ns) == self._starts_ns.maxlen:
            start_ns = max(now_ns, self._starts_ns[0] + _SECOND_NS)
        self._starts_ns.append(start_ns)
        if start_ns > now_ns:
            await asyncio.sleep((start_ns - now_ns) / 1e9)
