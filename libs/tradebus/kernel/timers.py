"""What is due at a time. Beside `Clock`: nothing else in the code waits for an instant or measures a duration.

Invariants (property-tested on the simulated one): calls come in the order of their due times, those of one time in the
order in which they were asked for; each comes once, never before its time, and never after it was cancelled.
"""

import heapq
from collections.abc import Callable
from typing import Protocol

from tradebus.kernel.time import NANOSECONDS_PER_SECOND


class Timer(Protocol):
    """One call that is due."""

    def cancel(self) -> None:
        """It does not come. Harmless where it has come already."""


class Timers(Protocol):
    """`now_ns` is the time decisions are made in, `monotonic_ns` measures durations and never goes back."""

    def now_ns(self) -> int: ...

    def monotonic_ns(self) -> int: ...

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        """Calls once when `now_ns` has reached `due_ns`; where it has already, at once, not within this call."""

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls once when so much monotonic time has passed."""


class SimulatedTimers:
    """Time that stands until it is moved: `advance` makes what becomes due happen, in order, each at its own time.

    A call may ask for further calls; those due by then come in the same `advance`.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._start_ns = self._now_ns = start_ns
        self._asked = 0
        self._due: list[tuple[int, int, _Call]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def monotonic_ns(self) -> int:
        return self._now_ns - self._start_ns

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        waiting = _Call(call)
        self._asked += 1
        heapq.heappush(self._due, (max(due_ns, self._now_ns), self._asked, waiting))
        return waiting

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return self.at(self._now_ns + round(seconds * NANOSECONDS_PER_SECOND), call)

    def next_due_ns(self) -> int | None:
        """When the next call is due; None where none is."""
        while self._due and self._due[0][2].call is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def advance(self, to_ns: int) -> None:
        """Moves time forward to `to_ns`, making the calls due on the way; an earlier instant makes those due now."""
        while (due_ns := self.next_due_ns()) is not None and due_ns <= max(to_ns, self._now_ns):
            self._now_ns = due_ns
            _, _, waiting = heapq.heappop(self._due)
            call, waiting.call = waiting.call, None
            assert call is not None  # next_due_ns dropped the cancelled ones
            call()
        self._now_ns = max(to_ns, self._now_ns)


class _Call:
    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None
