"""Simulated time beside what is real: an event loop, threads, a server on this machine."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers, Timer
from tradebus.waiting.timers import Deadline

T = TypeVar("T")
_TURNS = 50
_PATIENCE_SECONDS = 30.0


@dataclass(eq=False)
class _Guard:
    """The timer of a deadline."""

    timer: Timer
    due_ns: int
    guards: "set[_Guard]"

    def cancel(self) -> None:
        self.timer.cancel()
        self.guards.discard(self)


class PatientTimers(SimulatedTimers):
    """Know which of their calls are deadlines: what one guards, a request, is answered in real time."""

    def __init__(self, start_ns: int = 0) -> None:
        super().__init__(start_ns)
        self._guards: set[_Guard] = set()

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = super().after(seconds, call)
        if not isinstance(getattr(call, "__self__", None), Deadline):
            return timer
        guard = _Guard(timer, self.now_ns() + round(seconds * NANOSECONDS_PER_SECOND), self._guards)
        self._guards.add(guard)
        return guard

    def hop(self) -> None:
        """Goes to what is due next, unless that is a deadline."""
        due_ns = self.next_due_ns()
        if due_ns is not None and all(guard.due_ns != due_ns for guard in self._guards):
            self.advance(due_ns)


async def passes(timers: SimulatedTimers, seconds: float) -> None:
    """Moves time on, past all that is due until then, and lets everybody take notice."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    timers.advance(timers.now_ns() + round(seconds * NANOSECONDS_PER_SECOND))
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def through(timers: PatientTimers, work: Awaitable[T]) -> T:
    """What comes of `work`: where it waits, time goes to what is due next. No request is ever too slow."""
    task = asyncio.ensure_future(work)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not task.done():
            await asyncio.sleep(0.001)  # threads and servers answer in real time
            timers.hop()
    return await task
