"""A call that was given up while it waited for a thread never starts: an order must not leave after its UNKNOWN."""

import asyncio
import threading
from contextlib import suppress

import pytest

from tradebus.brokers import calls
from tradebus.brokers.calls import SdkCalls
from tradebus.brokers.errors import Malformed, NoAnswer, Refused
from tradebus.brokers.redaction import Redactor


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(calls, "_GRACE_SECONDS", 0.0)


def one_thread(seconds: float = 0.05) -> SdkCalls:
    return SdkCalls(
        "kite", classify=lambda error: Malformed("kite", str(error)), redactor=Redactor(), workers=1,
        request_seconds=seconds,
    )  # fmt: skip


async def last(sdk: SdkCalls) -> None:
    """Once this is answered, whatever waited for the thread before it has had its turn."""
    with suppress(NoAnswer):
        await sdk.once("last", lambda: None)
        return
    await last(sdk)


async def test_after_the_time_is_up(quick):
    sdk, go, started = one_thread(), threading.Event(), []
    busy = asyncio.create_task(sdk.once("first", lambda: go.wait(5)))
    await asyncio.sleep(0)
    with pytest.raises(NoAnswer):
        await sdk.once("second", lambda: started.append("second"))
    with pytest.raises(NoAnswer):
        await busy
    go.set()
    await last(sdk)
    assert started == []


async def test_after_its_caller_was_cancelled():
    sdk, go, started = one_thread(seconds=5.0), threading.Event(), []
    busy = asyncio.create_task(sdk.once("first", lambda: go.wait(5)))
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
