"""The market's time, a whole number of times as fast as the services live; how many may change.

Invariant (tested): it never goes back, and stands where it stood when its speed changes.
"""

from collections.abc import Callable


class WeekClock:
    """`machine_ns` is the services' time."""

    def __init__(self, market_ns: int, *, machine_ns: Callable[[], int], speed: int) -> None:
        self._machine_ns = machine_ns
        self._market_from_ns, self._machine_from_ns, self.speed = market_ns, machine_ns(), speed

    def now_ns(self) -> int:
        return self._market_from_ns + (self._machine_ns() - self._machine_from_ns) * self.speed

    def go_at(self, speed: int) -> None:
        """From now on."""
        self._market_from_ns, self._machine_from_ns, self.speed = self.now_ns(), self._machine_ns(), speed

    def setting(self) -> str:
        """As services are told of it that begin now: TRADEBUS_MARKET_CLOCK."""
        return f"{self._market_from_ns}@{self._machine_from_ns}x{self.speed}"
