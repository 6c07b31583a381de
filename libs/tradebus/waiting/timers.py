"""Timers on the event loop, and waiting by any timers: `sleep` and `deadline` where others write asyncio's own.

The kernel has the protocol and the simulated timers, and no event loop; brokers, bus and store, which wait, lie below
the runtime. So what joins the two has a layer of its own. Only `monotonic_ns` may be asked from any thread.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from tradebus.kernel import clock as machine
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timer, Timers

# The machine's clock may be set while we wait: how it stands is looked at this often.
_LOOK_SECONDS = 1.0
T = TypeVar("T")


class WallTimers:
    """See `tradebus.kernel.timers.Timers`. `clock` runs `speed` times as fast as the machine's.

    Calls come from the running event loop. One that raises is the loop's to report, and stops no other.
    """

    def __init__(self, clock: Clock, *, speed: float = 1.0) -> None:
        self._clock, self._speed = clock, speed

    def now_ns(self) -> int:
        return self._clock.now_ns()

    monotonic_ns = staticmethod(machine.monotonic_ns)

    def at(self, due_ns: int, call: Callable[[], None]) -> Timer:
        return _At(self._clock, due_ns, call, speed=self._speed)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, call)


def wall_timers() -> WallTimers:
    """The machine's own, at its own pace: for whoever stands at the top (a shell, a command) and gives them to all."""
    return WallTimers(WallClock())


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
    timer = timers.after(seconds, partial(_wake, woken))
    setting = None if unless is None else asyncio.ensure_future(unless.wait())
    try:
        if setting is None:
            await woken
        else:
            await asyncio.wait({woken, setting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
        woken.cancel()
        if setting is not None:
            setting.cancel()
    return unless is not None and unless.is_set()


async def first_done(timers: Timers, tasks: Iterable[asyncio.Task[T]], *, seconds: float) -> set[asyncio.Task[T]]:
    """Those that are done as soon as one is; none where the time is up first. Nothing is cancelled."""
    waited: set[asyncio.Future[Any]] = {*tasks}
    woken = asyncio.get_running_loop().create_future()
    timer = timers.after(seconds, partial(_wake, woken))
    try:
        done, _ = await asyncio.wait({*waited, woken}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return done - {woken}  # type: ignore[return-value]


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)


def deadline(timers: Timers, seconds: float | None) -> "Deadline":
    """`async with deadline(timers, 5.0):` as asyncio.timeout, by `timers`: raises TimeoutError, and swallows no
    cancellation that comes with it. None: never."""
    return Deadline(timers, seconds)


class Deadline:
    """See `deadline`. Who cancels whom is asyncio's own; only when is ours."""

    __slots__ = ("_seconds", "_timeout", "_timer", "_timers")

    def __init__(self, timers: Timers, seconds: float | None) -> None:
        self._timers, self._seconds = timers, seconds
        self._timeout = asyncio.timeout(None)
        self._timer: Timer | None = None

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        if self._seconds is not None:
            self._timer = self._timers.after(self._seconds, self._strike)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def _strike(self) -> None:
        self._timeout.reschedule(asyncio.get_running_loop().time())  # in the loop's next turn
