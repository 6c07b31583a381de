"""Waiting for what must come. The bounds are upper ones, far off: nothing here measures."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tradebus.kernel.clock import monotonic_ns
from tradebus.waiting.timers import wall_timers

T = TypeVar("T")
# For whoever waits for something real, a server or a process.
WALL_TIMERS = wall_timers()


def eventually(question: Callable[[], T], *, seconds: float = 30.0) -> T:
    """The first true answer. Fails where there is none for long."""
    deadline_ns = monotonic_ns() + int(seconds * 1e9)
    while not (answer := question()):
        assert monotonic_ns() < deadline_ns, f"still {answer!r} after {seconds} s"
        time.sleep(0.02)
    return answer


async def within(seconds: float, work: Awaitable[T]) -> T:
    """What comes of it. Fails where that takes longer."""
    async with asyncio.timeout(seconds):
        return await work
