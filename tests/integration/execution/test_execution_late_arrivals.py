"""A request that reaches the exchange long after it left: nothing else is sent for it, whoever asks, in whatever life.

At the sandbox, through the brokers' own adapters: its own book is the truth. The face holds placements back, and its
order book answers meanwhile, without them.
"""

import asyncio

import pytest
from testkit.execution_sandbox import FACES, HastyTimers, SandboxLife, list_future, session_at
from testkit.execution_service import until
from testkit.sandbox import sandbox

from services.sandbox.ports import FINAL
from tradebus.contracts.orders import Transaction
from tradebus.execution.deadlines import STOP_ANSWER_SECONDS
from tradebus.kernel.clock import WallClock

# Held back for this long: twenty-five seconds of those that execution counts, more than its client waits.
LATE_SECONDS = 2.5
PLACEMENTS = "POST *order*"


@pytest.fixture
def box():
    with sandbox(seed=3, instruments=60, limit_scale=0) as made:
        yield made


@pytest.fixture(params=FACES)
def face(request) -> str:
    return request.param


@pytest.fixture
async def lives(box, store, tmp_path, where):
    """Makes lives, one after the other, of one instance, whose seconds are short."""
    await list_future(store)
    began_wall_ns = WallClock().now_ns()
    return lambda: SandboxLife(where, tmp_path, box, began_wall_ns=began_wall_ns, timers=HastyTimers())


def hold_back(box, face: str, *, count: int) -> None:
    """The next so many placements act late."""
    box.fault("DELAY", broker=face, endpoint=PLACEMENTS, seconds=LATE_SECONDS, count=count)


async def held_back(box, life) -> None:
    """One of them has come."""

    async def struck():
        return any(struck for _, _, _, struck in box.faults.listed())

    await until(struck, life)


async def arrived(life, face: str) -> None:
    """The exchange has an order of the account."""

    async def is_there():
        return life.at_the_exchange(face)

    await until(is_there, life)


def bought(life, face: str) -> int:
    """How many orders to buy the exchange has of the account."""
    return sum(order.request.transaction is Transaction.BUY for order in life.at_the_exchange(face))


async def settled(life, face: str, entry) -> None:
    """The trade is over with us, and nothing of it lives or is held at the exchange."""
    await life.closed(entry)
    assert life.held(face) == 0
    assert all(order.status in FINAL for order in life.at_the_exchange(face))


async def test_an_entry_held_back_while_its_process_is_killed_is_bought_once(lives, box, face) -> None:
    async with lives() as life:
        await life.started(session_at(face))
        entry = life.entry(face, 1)
        hold_back(box, face, count=1)
        await life.send(entry)
        await held_back(box, life)
        life.task.cancel()  # as a kill -9: the request is on its way
    async with lives() as life:
        await arrived(life, face)
        await asyncio.sleep(LATE_SECONDS)  # whatever else may have left has arrived by then
        await life.one("SELECT 1 FROM trades WHERE pos_id = $1 AND entry_quantity > 0", entry.pos_id)
        assert life.held(face) == entry.quantity
        await life.leave(entry)
        await settled(life, face, entry)
        assert bought(life, face) == 1


async def test_a_stop_held_back_leaves_nothing_behind_when_the_position_is_left_without_it(lives, box, face) -> None:
    async with lives() as life:
        await life.started(session_at(face))
        entry = life.entry(face, 1)
        # Longer than a position may wait for its stop; the market's own seconds are real ones here.
        box.fault("DELAY", broker=face, endpoint=PLACEMENTS, seconds=STOP_ANSWER_SECONDS + 2, skip=1, count=1)
        await life.send(entry)
        await held_back(box, life)
        await settled(life, face, entry)
        reason = await life.store.pool.fetchval("SELECT exit_reason FROM trades WHERE pos_id = $1", entry.pos_id)
        assert reason == "stop_unanswered"
        assert bought(life, face) == 1


async def test_an_entry_that_comes_after_it_was_certain_that_it_would_not_is_undone(lives, box, face) -> None:
    async with lives() as life:
        await life.started(session_at(face))
        entry = life.entry(face, 1)
        box.fault("DELAY", broker=face, endpoint=PLACEMENTS, seconds=2 * LATE_SECONDS, count=1)
        await life.send(entry)
        await held_back(box, life)
        life.task.cancel()  # as above
    async with lives() as life:
        await life.one("SELECT 1 FROM trades WHERE pos_id = $1 AND state = 'CANCELLED'", entry.pos_id)
        assert life.at_the_exchange(face) == [], "it is still on its way"
        await arrived(life, face)
        await settled(life, face, entry)
        assert bought(life, face) == 1
