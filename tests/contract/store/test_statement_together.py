"""Statements of many callers in one transaction, on a real Postgres."""

import asyncio
from contextlib import suppress
from functools import partial

import asyncpg
import pytest

from tradebus.runtime.patience import PASSING
from tradebus.store.postgres.together import StatementTogether
from tradebus.store.store import Store

Notes = StatementTogether[tuple[object, ...]]
INSERT = (
    "INSERT INTO notes (name, number) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING name AS key, xmin::text AS tx"
)


@pytest.fixture
async def notes(store: Store) -> Notes:
    await store.pool.execute("CREATE TABLE notes (name text PRIMARY KEY, number int CHECK (number < 1000))")
    return StatementTogether(partial(store.each, INSERT), key_column="key")


async def test_each_gets_its_own_row_and_what_comes_meanwhile_goes_together(notes: Notes) -> None:
    rows = await asyncio.gather(*(notes.run(f"n{number:03}", (f"n{number:03}", number)) for number in range(100)))
    assert [row["key"] if row else None for row in rows] == [f"n{number:03}" for number in range(100)]
    assert len({row["tx"] for row in rows if row}) < 10, "in few transactions"


async def test_one_without_a_row_gets_none(notes: Notes) -> None:
    await notes.run("a", ("a", 1))
    rows = await asyncio.gather(notes.run("b", ("b", 1)), notes.run("a", ("a", 2)), notes.run("c", ("c", 3)))
    assert [row["key"] if row else None for row in rows] == ["b", None, "c"]


@pytest.mark.parametrize("spoilt", [1_000, "no number"])
async def test_what_one_spoils_fails_nobody_else(notes: Notes, store: Store, spoilt: object) -> None:
    values: list[object] = [1, 2, spoilt, 4, 5]
    answers = await asyncio.gather(
        *(notes.run(f"n{place}", (f"n{place}", value)) for place, value in enumerate(values)), return_exceptions=True
    )
    assert [isinstance(one, asyncpg.PostgresError | ValueError) for one in answers] == [
        False,
        False,
        True,
        False,
        False,
    ]
    assert await store.pool.fetchval("SELECT count(*) FROM notes") == 4


async def test_a_server_that_is_away_fails_all_that_were_under_way_and_the_next_go(notes: Notes, store: Store) -> None:
    await notes.run("first", ("first", 1))
    await store.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND application_name = (SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid())"
    )
    answers = await asyncio.gather(notes.run("a", ("a", 1)), notes.run("b", ("b", 2)), return_exceptions=True)
    for name, answer in zip("ab", answers, strict=True):
        if isinstance(answer, BaseException):
            assert (await notes.run(name, (name, 3))) is not None
    for number in range(store.pool.get_max_size()):  # others of the pool may still have to notice
        with suppress(*PASSING):
            assert await store.pool.fetchval("SELECT count(*) FROM notes") == 3, number
            return
    pytest.fail("no connection of the pool answers")


async def test_a_caller_that_gives_up_leaves_the_others_their_rows(notes: Notes) -> None:
    first = asyncio.create_task(notes.run("a", ("a", 1)))
    second, third = (asyncio.create_task(notes.run(name, (name, 1))) for name in "bc")
    await asyncio.sleep(0)
    second.cancel()
    rows = await asyncio.gather(first, third)
    assert [row["key"] for row in rows if row] == ["a", "c"]
