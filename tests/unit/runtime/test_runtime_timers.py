"""Timers on the event loop."""

import asyncio

from tradebus.kernel.clock import EventClock, WallClock
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.timers import WallTimers, sleep


async def test_a_call_comes_once_when_the_clock_has_reached_its_time() -> None:
    timers = WallTimers(WallClock())
    came = asyncio.Event()
    due_ns = timers.now_ns() + 20_000_000
    timers.at(due_ns, came.set)
    async with asyncio.timeout(10):
        await came.wait()
    assert timers.now_ns() >= due_ns


async def test_a_time_that_has_passed_is_due_at_once_and_a_cancelled_call_never_comes() -> None:
    timers = WallTimers(WallClock())
    came: list[str] = []
    timers.at(0, lambda: came.append("passed"))
    timers.at(0, lambda: came.append("cancelled")).cancel()
    timers.after(0.0, lambda: came.append("cancelled")).cancel()
    assert came == []
    await asyncio.sleep(0.05)  # what is due at once has come by then, and what else would come too
    assert came == ["passed"]


async def test_a_clock_that_stands_is_looked_at_again_and_no_call_comes_early() -> None:
    clock = EventClock(1_000)
    timers = WallTimers(clock)
    came = asyncio.Event()
    timers.at(1_001, came.set)
    await asyncio.sleep(0.05)  # wall time: the clock stands
    assert not came.is_set()
    clock.advance(1_001)
    async with asyncio.timeout(10):
        await came.wait()


async def test_sleeping_by_timers_ends_when_time_is_moved_or_somebody_wants_it() -> None:
    timers = SimulatedTimers()
    sleeping = asyncio.create_task(sleep(timers, 5.0))
    await asyncio.sleep(0)
    timers.advance(4_999_999_999)
    await asyncio.sleep(0.01)  # wall time, which is nothing to simulated timers
    assert not sleeping.done()
    timers.advance(5_000_000_000)
    assert await sleeping is False
    wanted = asyncio.Event()
    sleeping = asyncio.create_task(sleep(timers, 5.0, unless=wanted))
    await asyncio.sleep(0)
    wanted.set()
    assert await sleeping is True
    assert timers.next_due_ns() is None
