"""Approvals that the book has and the bus has lost, risk being dead: execution finds them. On the twins."""

from pathlib import Path

import pytest
from testkit.execution_around import Around, until
from testkit.execution_books import begin, emit, register
from testkit.execution_service import APPROVALS, MORNING, SECOND, approval, exit_of, intent, slice_of, spec

from tradebus.contracts.instruments import Instrument
from tradebus.trading.states import OrderState, TradeState

ENTRY = approval(1, at_ns=MORNING)
X = Instrument(
    instrument_id=1, symbol="X", exchange="NSE", kind="FUTURE", market_class="derivative", underlying="NIFTY",
    lot_size=25, tick_size_paise=5,
)  # fmt: skip


@pytest.fixture
async def around(tmp_path: Path) -> Around:
    made = Around.memory(state_dir=tmp_path)
    await register(made.book, X)
    await begin(made.book, spec())
    return made


async def resting(around: Around) -> bool:
    return any(trade.entry_order().state is OrderState.OPEN for trade in await around.hands.trades())


async def test_an_entry_that_the_bus_lost_is_taken_from_the_book_at_the_start(around: Around) -> None:
    await emit(around.book, APPROVALS, ENTRY)
    async with await around.life() as life:
        await until(lambda: resting(around), life)
    assert await around.hands.outcomes() == {"i1": "TAKEN"}
    assert len(await around.told("ORDER_PLACED")) == 1


async def test_an_exit_that_the_bus_lost_closes_its_position(around: Around) -> None:
    async with await around.life() as life:
        await around.publish(intent(ENTRY))
        await until(lambda: resting(around), life)
        await around.publish(slice_of(MORNING, [10_000] * 20))

        async def held() -> bool:
            return (await around.hands.trades())[0].entry_quantity == 100

        await until(held, life)
        await emit(around.book, APPROVALS, exit_of(ENTRY, at_ns=MORNING + 60 * SECOND))

        async def leaving() -> bool:
            return (await around.hands.trades())[0].exit_reason == "exit_signal"

        await until(leaving, life)
        await around.publish(slice_of(MORNING + 60 * SECOND, [10_000] * 20))

        async def closed() -> bool:
            return (await around.hands.trades())[0].state is TradeState.CLOSED

        await until(closed, life)
    assert await around.hands.outcomes() == {"i1": "TAKEN", "xi1": "TAKEN"}


async def test_what_comes_by_bus_and_book_to_two_instances_is_taken_once(around: Around) -> None:
    entries = [approval(number, at_ns=MORNING + number) for number in range(20)]
    await emit(around.book, APPROVALS, *entries)
    async with await around.life(instance="a") as first, await around.life(instance="b") as second:
        await around.publish(*(intent(one) for one in entries))

        async def all_resting() -> bool:
            trades = await around.hands.trades()
            return len(trades) == 20 and all(one.entry_order().state is OrderState.OPEN for one in trades)

        await until(all_resting, first, second)
    assert len(await around.told("ORDER_PLACED")) == 20
    assert set((await around.hands.outcomes()).values()) == {"TAKEN"}


async def test_an_entry_that_is_outdated_by_now_is_refused_and_an_exit_before_its_entry_keeps_it_out(
    around: Around,
) -> None:
    other = approval(2, at_ns=MORNING + 180 * SECOND)
    await emit(around.book, APPROVALS, ENTRY, other, exit_of(other, at_ns=MORNING + 181 * SECOND))
    await around.publish(slice_of(MORNING + 120 * SECOND, [10_000]))  # ENTRY was valid for two minutes
    async with await around.life() as life:

        async def answered() -> bool:
            return len(await around.hands.outcomes()) == 3

        await until(answered, life)
    assert (await around.hands.outcomes())["i1"] == "stale_approval"
    refused, left = await around.hands.trades()
    assert (refused.state, left.exit_reason) == (TradeState.CANCELLED, "exit_signal")


async def test_one_that_cannot_be_taken_holds_up_no_other_and_is_taken_once_it_can(around: Around) -> None:
    unknown = approval(1, at_ns=MORNING).model_copy(update={"instrument": 9})
    await emit(around.book, APPROVALS, unknown, approval(2, at_ns=MORNING))
    async with await around.life() as life:
        await until(lambda: resting(around), life)
        assert await around.hands.outcomes() == {"i2": "TAKEN"}
        await register(around.book, X.model_copy(update={"instrument_id": 9, "symbol": "Y"}))

        async def both() -> bool:
            return len(await around.hands.outcomes()) == 2

        await until(both, life)


async def test_one_among_the_dead_letters_is_refused(around: Around) -> None:
    unknown = approval(1, at_ns=MORNING).model_copy(update={"instrument": 9})
    await around.publish(intent(unknown))
    async with await around.life() as life:

        async def put_aside() -> bool:
            return bool(await around.bus.dead_letters(APPROVALS, count=1))

        await until(put_aside, life)
        await register(around.book, X.model_copy(update={"instrument_id": 9, "symbol": "Y"}))
        await emit(around.book, APPROVALS, unknown, approval(2, at_ns=MORNING))
        await until(lambda: resting(around), life)
    assert await around.hands.outcomes() == {"i1": "put_aside", "i2": "TAKEN"}
