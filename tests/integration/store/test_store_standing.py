"""Statements that are whole transactions, on the connection kept aside for them."""

import asyncio

import asyncpg
import pytest

from tradebus.store.store import Store

_SLOWLY = "pg_sleep(0.2)"  # what is measured is that a statement goes on
_INSERT = f"INSERT INTO inbox (consumer, message_id) SELECT 'slow', $1 FROM {_SLOWLY} RETURNING message_id"
_RUNS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE 'INSERT INTO inbox%'"
_COUNT = "SELECT count(*) FROM inbox WHERE consumer = 'slow'"


async def test_statements_of_several_callers_run_one_after_the_other(store: Store) -> None:
    rows = await asyncio.gather(*(store.alone("SELECT $1::int AS number", number) for number in range(20)))
    assert [row["number"] for row in rows if row is not None] == list(range(20))


async def test_a_lost_connection_is_replaced(store: Store) -> None:
    await store.alone("SELECT 1")
    await store.pool.execute(
        "SELECT pg_terminate_backend(pid, 20_000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND application_name = current_setting('application_name')"
    )
    await store.pool.fetchval("SELECT 1")  # its end was told before this answer
    row = await store.alone("SELECT 2 AS number")
    assert row is not None
    assert row["number"] == 2


async def test_a_statement_that_fails_leaves_the_next_one_unharmed(store: Store) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await store.alone("SELECT * FROM nowhere")
    assert await store.alone("SELECT 1") is not None


async def test_when_a_statement_given_up_returns_it_has_ended_in_postgres_too(store: Store) -> None:
    running = asyncio.create_task(store.alone(_INSERT, "m"))
    async with asyncio.timeout(30):
        while not await store.pool.fetchval(_RUNS):
            await asyncio.sleep(0.005)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    before = await store.pool.fetchval(_COUNT)
    await asyncio.sleep(0.4)  # twice as long as it would have taken
    assert await store.pool.fetchval(_COUNT) == before


async def test_closing_gives_the_connection_back(store: Store) -> None:
    await store.alone("SELECT 1")
    async with asyncio.timeout(5):
        await store.close()
