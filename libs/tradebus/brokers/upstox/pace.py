"""How fast calls may leave (BROKERS 6). A burst leaves at once; what is too much for a window waits for its end.

Orders are held to the second only: one that waited for the end of a minute would be worse than one that is refused.
"""

import asyncio
from collections import deque

from tradebus.brokers.calls import Pacer
from tradebus.kernel.clock import monotonic_ns

# Calls and seconds, a little below what Upstox counts by its own clock: 10 orders a second; 50 reads, 500 a minute.
ORDER_WINDOWS = ((9, 1.0),)
READ_WINDOWS = ((45, 1.0), (480, 60.0))


class WindowPace(Pacer):
    """Invariant (tested): no window, wherever it begins, sees more starts than it may."""

    def __init__(self, windows: tuple[tuple[int, float], ...]) -> None:
        self._windows: list[tuple[deque[int], int]] = [
            (deque(maxlen=count), int(seconds * 1e9)) for count, seconds in windows
        ]

    async def turn(self) -> None:
        """Returns when the caller may start. Callers start in the order they came."""
        now_ns = start_ns = monotonic_ns()
        for starts_ns, window_ns in self._windows:
            if len(starts_ns) == starts_ns.maxlen:
                start_ns = max(start_ns, starts_ns[0] + window_ns)
        for starts_ns, _ in self._windows:
            starts_ns.append(start_ns)
        if start_ns > now_ns:
            await asyncio.sleep((start_ns - now_ns) / 1e9)
