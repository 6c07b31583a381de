"""When a tag that the order book lacks is absent for certain: never while one is placed, and only some time after."""

import asyncio
import threading

import pytest
from testkit.simulated import passes

from tradebus.brokers.calls import SdkCalls
from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.settling import Settling
from tradebus.brokers.errors import Malformed
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.timers import SimulatedTimers
from tradebus.trading.orders import Outcome, Result

TAG, SETTLE_SECONDS = "tb1", 5.0


class Desk:
    """A Settling, and what it says of books that were asked for later."""

    def __init__(self) -> None:
        self.timers = SimulatedTimers()
        self.settling = Settling(SETTLE_SECONDS, timers=self.timers)

    async def placed(self, result: Result, *, after: asyncio.Event | None = None) -> None:
        await self.settling.placed(TAG, self._answer(result, after))

    def certain_after(self, seconds: float, tag: str = TAG) -> bool:
        return self.settling.absent(tag, asked_ns=self.timers.monotonic_ns() + round(seconds * 1e9))

    async def _answer(self, result: Result, after: asyncio.Event | None) -> Outcome:
        if after is not None:
            await after.wait()
        return Outcome(result)


def test_another_life_may_have_placed_it_just_before_it_is_first_asked_for():
    desk = Desk()
    desk.timers.advance(3_600_000_000_000)  # however long this process runs: it may have taken the trade over just now
    assert not desk.certain_after(0)
    assert not desk.certain_after(29.9)
    assert desk.certain_after(30)
    assert not desk.certain_after(0, "another")


@pytest.mark.parametrize(("result", "seconds"), [(Result.ACCEPTED, 5), (Result.UNKNOWN, 20)])
async def test_what_may_have_reached_the_broker_has_time_to_appear(result, seconds):
    desk = Desk()
    await desk.placed(result)
    assert not desk.certain_after(seconds - 0.1)
    assert desk.certain_after(seconds)


async def test_a_refusal_leaves_nothing_behind():
    desk = Desk()
    await desk.placed(Result.REFUSED)
    assert desk.certain_after(0)


async def test_a_refusal_does_not_speak_for_the_request_before_it():
    desk = Desk()
    await desk.placed(Result.UNKNOWN)
    await desk.placed(Result.REFUSED)
    assert not desk.certain_after(19)
    assert desk.certain_after(20)


async def test_a_request_that_was_given_up_may_have_left():
    desk = Desk()
    placing = asyncio.create_task(desk.placed(Result.ACCEPTED, after=asyncio.Event()))
    while not desk.settling.under_way(TAG):
        await asyncio.sleep(0)
    placing.cancel()
    await asyncio.gather(placing, return_exceptions=True)
    assert not desk.settling.under_way(TAG)
    assert not desk.certain_after(19)
    assert desk.certain_after(20)


async def test_nothing_is_certain_while_one_of_two_is_under_way():
    desk, end = Desk(), asyncio.Event()
    placing = asyncio.create_task(desk.placed(Result.REFUSED, after=end))
    await desk.placed(Result.REFUSED)
    while not desk.settling.under_way(TAG):
        await asyncio.sleep(0)
    await desk.placed(Result.REFUSED)
    assert desk.settling.under_way(TAG)
    assert not desk.certain_after(3_600)
    end.set()
    await placing
    assert not desk.settling.under_way(TAG)
    assert desk.certain_after(20)


async def test_nothing_is_certain_while_the_thread_of_a_given_up_request_may_still_send_it():
    """A name server or a connection that hangs holds a request back for longer than anybody waits for its answer."""
    desk, redactor, connected = Desk(), Redactor(), threading.Event()
    sdk = SdkCalls("kite", classify=lambda error: Malformed("kite", str(error)), redactor=redactor, timers=desk.timers)
    sending = outcome_of("place order", sdk.once("place", lambda: connected.wait(30)), str, redactor=redactor)
    placing = asyncio.create_task(desk.settling.placed(TAG, sending))
    await passes(desk.timers, 3_600)
    assert (await placing).result is Result.UNKNOWN
    await passes(desk.timers, 3_600)
    assert not desk.certain_after(3_600)
    connected.set()
    async with asyncio.timeout(20):
        while not desk.certain_after(20):
            await asyncio.sleep(0.001)
    assert not desk.certain_after(19)
    sdk.close()
