"""Two instances and one trade: the exit reaches the one that did not open it, or comes before the entry."""

import asyncio

import pytest
from testkit.execution_service import (
    APPROVALS,
    MORNING,
    SECOND,
    Running,
    approval,
    exit_of,
    intent,
    messages,
    slice_of,
    until,
)

from tradebus.bus.port import Entry

MINUTE = 60 * SECOND


@pytest.fixture
def instance(database_url, redis_url, namespace):
    return lambda name: Running(database_url, redis_url, namespace, instance=name, paced=False)


async def trade_state(book):
    return await book.pool.fetchval("SELECT state FROM trades")


async def opened(book, bus, running) -> None:
    """One position, opened by the only instance that runs."""
    await bus.publish([intent(approval(1, at_ns=MORNING))])

    async def resting():
        return await book.pool.fetchval("SELECT count(*) FROM orders WHERE state = 'OPEN'")

    async def held():
        return await book.pool.fetchval("SELECT count(*) FROM trades WHERE entry_quantity = 100")

    await until(resting, running)
    await bus.publish([slice_of(MORNING, [10_000] * 20)])
    await until(held, running)


async def direct_exit(running, at_ns: int) -> None:
    """Hands the exit to this instance, as the shared group might."""
    message = exit_of(approval(1, at_ns=MORNING), at_ns=at_ns)
    async with running.component.turn:
        await running.component.execution.handle(Entry(APPROVALS, "1-1", message.TYPE, message.to_json()))


async def test_an_exit_that_comes_before_its_entry_keeps_the_position_from_being_opened(book, bus, instance):
    entry = approval(1, at_ns=MORNING)
    async with instance("a") as first:
        await bus.publish([intent(exit_of(entry, at_ns=MORNING + SECOND))])

        async def taken():
            return await book.pool.fetchval("SELECT count(*) FROM intents WHERE kind = 'EXIT'")

        await until(taken, first)
        await bus.publish([intent(entry), intent(entry)])
        await until(lambda: trade_state(book), first)
        await bus.publish([slice_of(MORNING, [10_000] * 20)])

        async def told():
            return [message for message in await messages(bus) if message.TYPE == "ORDER_CANCELLED"]

        await until(told, first)
    assert await trade_state(book) == "CANCELLED"
    assert await book.pool.fetchval("SELECT count(*) FROM paper_orders") == 0
    assert await book.pool.fetchval("SELECT count(*) FROM intents") == 2


async def test_an_exit_given_to_the_other_instance_closes_the_trade_though_both_watch_the_market(book, bus, instance):
    async with instance("a") as first, instance("b") as second:
        await opened(book, bus, first)
        owner = await book.pool.fetchval("SELECT owner FROM trades")
        other = second if owner == "execution-a" else first
        await direct_exit(other, MORNING + MINUTE)
        await bus.publish([slice_of(MORNING + MINUTE, [10_000] * 20)])

        async def closed():
            return await trade_state(book) == "CLOSED"

        await until(closed, first, second)
        for running in (first, second):

            async def forgotten(roster=running.component.roster):
                return not roster.alive

            await until(forgotten, first, second)
    assert await book.pool.fetchval("SELECT exit_reason FROM trades") == "exit_signal"
    assert await book.pool.fetchval("SELECT count(*) FROM orders WHERE role = 'EXIT'") == 1


async def test_an_instance_killed_after_taking_an_exit_over_leaves_nothing_hanging(book, bus, instance):
    async with instance("a") as first:
        await opened(book, bus, first)
        async with instance("b") as second:
            await direct_exit(second, MORNING + MINUTE)
            await second.kill()

        async def closed():
            return await trade_state(book) == "CLOSED"

        async with asyncio.timeout(20):
            number = 1
            while not await closed():
                assert not first.task.done(), first.task.exception()
                await bus.publish([slice_of(MORNING + number * MINUTE, [10_000] * 20)])
                number += 1
                await asyncio.sleep(0.3)
    rows = await book.pool.fetch("SELECT transaction_type, sum(filled_quantity) AS q FROM orders GROUP BY 1")
    assert {row["q"] for row in rows} == {100}


async def test_an_order_that_another_instance_changed_is_read_again_and_still_fills(book, bus, instance):
    async with instance("a") as first:
        await opened(book, bus, first)
        # Somebody else writes the stop's line in the paper book: a version this instance has not seen.
        async with first.component.turn:  # what the last fill led to is answered: the stop has grown
            await book.pool.execute("UPDATE paper_orders SET version = version + 1")
        await bus.publish([slice_of(MORNING + MINUTE, [9_800] * 20)])

        async def closed():
            return await trade_state(book) == "CLOSED"

        await until(closed, first)
    assert await book.pool.fetchval("SELECT exit_reason FROM trades") == "stop"
