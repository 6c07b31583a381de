"""How fast calls may leave (BROKERS 6). A burst leaves at once; what is too much for a window waits for its end."""

from collections import deque

from tradebus.brokers.calls import Pacer
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep


class WindowPace(Pacer):
    """`windows`: how many calls in how many seconds.

    Invariant (tested): no window, wherever it begins, sees more starts than it may.
    """

    def __init__(self, windows: tuple[tuple[int, float], ...], *, timers: Timers) -> None:
        self._timers = timers
        self._windows: list[tuple[deque[int], int]] = [
            (deque(maxlen=count), int(seconds * 1e9)) for count, seconds in windows
        ]

    async def turn(self) -> None:
        """Returns when the caller may start. Callers start in the order they came."""
        await self.until(self.booked_ns())

    def booked_ns(self) -> int:
        """Takes the next free start and tells when it is (monotonic)."""
        start_ns = self._timers.monotonic_ns()
        for starts_ns, window_ns in self._windows:
            if len(starts_ns) == starts_ns.maxlen:
                start_ns = max(start_ns, starts_ns[0] + window_ns)
        for starts_ns, _ in self._windows:
            starts_ns.append(start_ns)
        return start_ns

    async def until(self, start_ns: int) -> None:
        """Waits for a moment (monotonic); not at all where it has come."""
        wait_ns = start_ns - self._timers.monotonic_ns()
        if wait_ns > 0:
            await sleep(self._timers, wait_ns / 1e9)
