"""Timers on the event loop, waiting by any timers, and the market's time for what is due by it while no data comes."""

import asyncio
from collections.abc import Callable

from tradebus.bus.port import id_order
from tradebus.kernel.clock import Clock, monotonic_ns
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timer, Timers

# The machine's clock may be set while we wait: how it stands is looked at this often.
_LOOK_SECONDS = 1.0
_LONGEST_SILENCE_NS = 30 * NANOSECONDS_PER_DAY


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


class MarketTime:
    """The market's time, also while no data comes: where the newest slice left it, and how long ago that was.

    Right for every market that keeps the pace of the machine's clock times `speed`: a live one, a sandbox elsewhere in
    time, a generated one that began this morning. `clock` is the live market's own.
    """

    def __init__(self, clock: Clock, *, machine: Clock, speed: float = 1.0) -> None:
        self._clock, self._machine, self._speed = clock, machine, speed
        self.data_ns = 0  # the event time that market data has reached
        self._slice_ns = self._published_ns = 0

    def heard(self, watermark_ns: int, entry_id: str) -> None:
        """A slice up to `watermark_ns`; its entry's id says when it was published."""
        self.data_ns = watermark_ns
        published_ns = self._published_at(entry_id)
        self._slice_ns = watermark_ns
        self._published_ns = self._machine.now_ns() if published_ns is None else published_ns

    def remember(self, watermark_ns: int, entry_id: str) -> None:
        """A slice of an earlier life, as a session's state has kept it: it counts until there is a newer one."""
        published_ns = self._published_at(entry_id)
        if watermark_ns and published_ns is not None and published_ns > self._published_ns:
            self._slice_ns, self._published_ns = watermark_ns, published_ns

    def now_ns(self, *, is_live: bool) -> int | None:
        """None where nothing is known of the market, and it is not a live one."""
        if not self._slice_ns:
            return self._clock.now_ns() if is_live else None
        elapsed_ns = max(0, self._machine.now_ns() - self._published_ns)
        return self._slice_ns + int(elapsed_ns * self._speed)

    def _published_at(self, entry_id: str) -> int | None:
        """None where the bus' clock is another one than ours: its ids say nothing of when."""
        published_ns = id_order(entry_id)[0] * NANOSECONDS_PER_MILLISECOND
        return published_ns if abs(self._machine.now_ns() - published_ns) < _LONGEST_SILENCE_NS else None
