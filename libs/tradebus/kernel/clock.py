"""Where the time comes from. Nothing else in the code reads the machine's clock (ruff holds this)."""

import time
from typing import Protocol


class Clock(Protocol):
    """`now_ns` is the time decisions are made in: wall time live, event time in a paced run."""

    def now_ns(self) -> int: ...


class WallClock:
    """The machine's UTC clock."""

    def now_ns(self) -> int:
        return time.time_ns()


class EventClock:
    """Stands at the latest event time it was shown; never goes back. Property: now_ns is monotonic."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Moves forward to `to_ns`; an earlier instant is ignored."""
        if to_ns > self._now_ns:
            self._now_ns = to_ns


class ScaledClock:
    """Runs `speed` times as fast as another clock; shows `event_ns` where that one shows `wall_ns`.

    Two processes with the same three numbers show the same time.
    """

    def __init__(self, base: Clock, *, event_ns: int, wall_ns: int, speed: float) -> None:
        self._base, self._event_ns, self._wall_ns, self._speed = base, event_ns, wall_ns, speed

    def now_ns(self) -> int:
        return self._event_ns + int((self._base.now_ns() - self._wall_ns) * self._speed)


def monotonic_ns() -> int:
    """For measuring durations only; unrelated to any calendar."""
    return time.perf_counter_ns()


def process_ns() -> int:
    """Processor time that this process has used, in all its threads. For measuring only."""
    return time.process_time_ns()
