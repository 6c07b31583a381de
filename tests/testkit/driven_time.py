"""Simulated time that goes on by itself while something runs: a second of it takes milliseconds.

Between two steps everybody who can go on has had several turns, so that what takes no time takes next to none here:
what is handed to a thread is done at once, in this one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers

_STEP_NS = NANOSECONDS_PER_SECOND // 100
_TURNS = 25
START_NS = 1_700_000_000 * NANOSECONDS_PER_SECOND


class AtOnce(ThreadPoolExecutor):
    """Threads that none is waited for: how long one takes is the machine's affair, and no simulated time."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


@asynccontextmanager
async def driven(timers: SimulatedTimers) -> AsyncIterator[None]:
    """Moves them on, in small steps, until the block ends."""

    async def drive() -> None:
        while True:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            timers.advance(timers.now_ns() + _STEP_NS)

    asyncio.get_running_loop().set_default_executor(AtOnce())
    driving = asyncio.create_task(drive())
    try:
        yield
    finally:
        driving.cancel()
        await asyncio.wait([driving])
