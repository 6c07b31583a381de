"""Timers on the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tradebus.kernel.clock import EventClock, WallClock
from tradebus.kernel.timers import SimulatedTimers
from tradebus.waiting.timers import WallTimers, deadline, first_done, sleep


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


async def test_a_deadline_strikes_when_time_is_moved_to_it_and_not_before() -> None:
    timers = SimulatedTimers()

    async def waits() -> None:
        async with deadline(timers, 120.0):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    timers.advance(119_999_999_999)
    await asyncio.sleep(0.01)  # wall time, which is nothing to simulated timers
    assert not waiting.done()
    timers.advance(120_000_000_000)
    with pytest.raises(TimeoutError):
        await waiting


async def test_what_is_done_in_time_leaves_no_timer_and_none_may_be_asked_for() -> None:
    timers = SimulatedTimers()
    for seconds in (1.0, None):
        async with deadline(timers, seconds):
            await asyncio.sleep(0)
        assert timers.next_due_ns() is None
    with pytest.raises(ValueError, match="its own"):
        async with deadline(timers, 1.0):
            raise ValueError("its own")
    assert timers.next_due_ns() is None


async def test_a_cancellation_that_comes_with_the_deadline_is_not_swallowed() -> None:
    timers = SimulatedTimers()

    async def waits() -> None:
        async with deadline(timers, 1.0):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(waits())
    await asyncio.sleep(0)
    timers.advance(1_000_000_000)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_deadline_by_the_wall_strikes_by_itself() -> None:
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            async with deadline(WallTimers(WallClock()), 0.01):
                await asyncio.Event().wait()


async def test_a_sleep_that_is_cancelled_leaves_no_timer() -> None:
    timers = SimulatedTimers()
    sleeping = asyncio.create_task(sleep(timers, 5.0))
    await asyncio.sleep(0)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert timers.next_due_ns() is None


async def test_what_is_done_first_is_given_and_what_is_not_done_in_time_goes_on() -> None:
    timers, go = SimulatedTimers(), asyncio.Event()
    slow = asyncio.create_task(go.wait())
    asking = asyncio.create_task(first_done(timers, [slow], seconds=60))
    await asyncio.sleep(0)
    timers.advance(60_000_000_000)
    assert await asking == set()
    assert not slow.done()
    go.set()
    assert await first_done(timers, [slow], seconds=60) == {slow}
    assert timers.next_due_ns() is None


@pytest.mark.parametrize("timers", [WallTimers(WallClock()), SimulatedTimers()])
def test_durations_can_be_measured_on_any_thread(timers: WallTimers | SimulatedTimers) -> None:
    first_ns = timers.monotonic_ns()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(timers.monotonic_ns).result() >= first_ns
