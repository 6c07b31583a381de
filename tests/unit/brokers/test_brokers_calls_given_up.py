"""A call that was given up while it waited for a thread never starts: an order must not leave after its UNKNOWN."""

import asyncio
import threading

import pytest
from testkit.simulated import passes
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.calls import REQUEST_SECONDS, SdkCalls
from tradebus.brokers.errors import Malformed, NoAnswer, Refused
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import SimulatedTimers, Timers


def one_thread(timers: Timers = WALL_TIMERS) -> SdkCalls:
    return SdkCalls(
        "kite", classify=lambda error: Malformed("kite", str(error)), redactor=Redactor(), workers=1, timers=timers
    )


async def last(sdk: SdkCalls) -> None:
    """Once this is answered, whatever waited for the thread before it has had its turn."""
    await sdk.once("last", lambda: None)


async def test_after_the_time_is_up():
    timers = SimulatedTimers()
    sdk, go, started = one_thread(timers), threading.Event(), []
    asked = [
        asyncio.create_task(sdk.once("first", lambda: go.wait(30))),
        asyncio.create_task(sdk.once("second", lambda: started.append("second"))),
    ]
    await passes(timers, REQUEST_SECONDS)
    assert not any(one.done() for one in asked), "the SDK's own timeout should strike first"
    await passes(timers, 60)
    for one in asked:
        with pytest.raises(NoAnswer, match="no answer in 10 s"):
            await one
    go.set()
    await last(sdk)
    assert started == []


async def test_after_the_process_stood_still():
    timers = SimulatedTimers()
    sdk, go, started = one_thread(timers), threading.Event(), []
    busy = asyncio.create_task(sdk.once("first", lambda: go.wait(30)))
    waiting = asyncio.create_task(sdk.once("second", lambda: started.append("second")))
    await passes(timers, 0.0)
    timers.advance(timers.now_ns() + 60 * 10**9)
    go.set()
    done = threading.Event()
    last_one = asyncio.create_task(sdk.once("last", done.set))
    await asyncio.sleep(0)  # it is asked for
    assert done.wait(5), "the thread goes on before the loop has had a turn"
    await asyncio.gather(busy, waiting, last_one, return_exceptions=True)
    assert started == []


async def test_after_its_caller_was_cancelled():
    sdk, go, started = one_thread(), threading.Event(), []
    busy = asyncio.create_task(sdk.once("first", lambda: go.wait(30)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(sdk.once("second", lambda: started.append("second")))
    await asyncio.sleep(0.05)  # it waits for the thread by then; cancelled earlier it asks nothing either
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    go.set()
    assert await busy is True
    await last(sdk)
    assert started == []


async def test_after_the_end_nothing_is_asked():
    sdk, started = one_thread(), []
    sdk.close()
    with pytest.raises(Refused, match="closed"):
        await sdk.read("late", lambda: started.append("late"))
    assert started == []
