"""Timers on the event loop, and waiting by any timers."""

import asyncio
from collections.abc import Callable

from tradebus.kernel.clock import Clock, monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timer, Timers

# The machine's clock may be set while we wait: how it stands is looked at this often.
_LOOK_SECONDS = 1.0


class WallTimers:
    """See `tradebus.kernel.timers.Timers`. `clock` runs `speed` times as fast as the machine's.

    Calls come from the running event loop. One that raises is the loop's to report, and stops no other.
    """

    def __init__(self, clock: Clock, *, speed: float = 1.0) -> None:
        self._clock, self._speed = clock, speed

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def monotonic_ns(self) -> int:
        return monotonic_ns()

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        return _At(self._clock, due_ns, call, speed=self._speed)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, call)


class _At:
    """Waits in steps, since the clock may jump."""

    def __init__(self, clock: Clock, due_ns: int, call: Callable[[], None], *, speed: float) -> None:
        self._clock, self._due_ns, self._call, self._speed = clock, due_ns, call, speed
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(self._left_seconds(), self._look)

    def cancel(self) -> None:
        self._handle.cancel()

    def _left_seconds(self) -> float:
        left = (self._due_ns - self._clock.now_ns()) / self._speed / NANOSECONDS_PER_SECOND
        return min(max(left, 0.0), _LOOK_SECONDS)

    def _look(self) -> None:
        if self._clock.now_ns() >= self._due_ns:
            self._call()
        else:
            self._handle = self._loop.call_later(self._left_seconds(), self._look)


async def sleep(timers: Timers, seconds: float, *, unless: asyncio.Event | None = None) -> bool:
    """Waits so long by `timers`; True where `unless` was set first."""
    if unless is not None and unless.is_set():
        return True
    woken = asyncio.get_running_loop().create_future()
    timer = timers.after(seconds, lambda: None if woken.done() else woken.set_result(None))
    waits: set[asyncio.Future[object]] = {woken}
    if unless is not None:
        waits.add(asyncio.ensure_future(unless.wait()))
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        for each in waits:
            each.cancel()
    return unless is not None and unless.is_set()
