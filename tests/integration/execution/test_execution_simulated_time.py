"""Execution in front of the sandbox's three faces, through the brokers' own adapters, waiting in simulated time: a
broker that tells nobody what became of an order for ten minutes. The network is real, and so is the market's clock.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from testkit.execution_sandbox import FACES, SandboxLife, list_future, session_at
from testkit.execution_service import until
from testkit.sandbox import sandbox

from tradebus.kernel.clock import WallClock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import SimulatedTimers

PLACEMENTS = {"kite": "POST /orders/*", "dhan": "POST /v2/orders*", "upstox": "POST /v3/order/place"}
_OF_TRADE = "SELECT state FROM orders WHERE pos_id = $1 AND role = 'ENTRY'"


@pytest.fixture
def box():
    with sandbox(seed=3, instruments=60, limit_scale=0) as made:
        yield made


@asynccontextmanager
async def flowing(timers: SimulatedTimers) -> AsyncIterator[None]:
    """Time goes on by itself, a second in some fifty milliseconds: what is asked for at a server takes next to none."""

    async def flow() -> None:
        while True:
            await asyncio.sleep(0.005)
            timers.advance(timers.now_ns() + NANOSECONDS_PER_SECOND // 10)

    flow_of_time = asyncio.create_task(flow())
    try:
        yield
    finally:
        flow_of_time.cancel()
        await asyncio.wait([flow_of_time])


def struck(box) -> int:
    return sum(done for _, _, _, done in box.faults.listed())


@pytest.mark.parametrize("face", FACES)
async def test_ten_minutes_without_an_answer_lose_no_order_and_send_none_twice(
    box, store, tmp_path, where, face
) -> None:
    await list_future(store)
    life = SandboxLife(where, tmp_path, box, began_wall_ns=WallClock().now_ns())
    life.timers = timers = SimulatedTimers(WallClock().now_ns())
    async with flowing(timers), life:
        await life.started(session_at(face))
        box.fault("ACCEPT_THEN_ERROR", broker=face, endpoint=PLACEMENTS[face], count=1)
        box.fault("SERVER_ERROR", broker=face)
        entry = life.entry(face, 1)
        await life.send(entry)

        async def is_unknown() -> bool:
            return await life.store.pool.fetchval(_OF_TRADE, entry.pos_id) == "UNKNOWN"

        await until(is_unknown, life)
        began_ns = timers.monotonic_ns()
        while timers.monotonic_ns() - began_ns < 600 * NANOSECONDS_PER_SECOND:
            before = struck(box)
            timers.advance(timers.now_ns() + 30 * NANOSECONDS_PER_SECOND)

            async def asked_again(before: int = before) -> bool:
                return struck(box) > before

            await until(asked_again, life)
        assert await is_unknown(), "a server's error is no evidence of anything"
        assert life.held(face) == entry.quantity, "the one order that left was done"
        box.on_loop(box.faults.clear)
        await life.one("SELECT 1 FROM orders WHERE pos_id = $1 AND role = 'ENTRY' AND state = 'FILLED'", entry.pos_id)
        await life.leave(entry)
        assert life.held(face) == 0
