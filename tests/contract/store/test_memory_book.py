"""What only the book in memory can do: a service's own tables in a transaction, absences, lost answers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.pauses import pause
from testkit.waiting import WALL_TIMERS

from tradebus.bus.memory.bus import MemoryBus
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.errors import Unavailable
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox

STEPS = st.lists(
    st.tuples(st.sampled_from(["set", "delete", "commit", "roll back"]), st.integers(0, 4), st.integers(0, 9)),
    max_size=30,
)


@given(STEPS)
def test_a_table_shows_what_is_committed_and_what_its_transaction_wrote(steps: list[tuple[str, int, int]]) -> None:
    asyncio.run(check_table(steps))


async def check_table(steps: list[tuple[str, int, int]]) -> None:
    database = MemoryDatabase()
    book = MemoryBook(database, producer="test-1")
    committed: dict[int, int] = {}
    at = 0
    while at < len(steps):
        expected = dict(committed)
        commits = True
        try:
            async with book.begin() as transaction:
                table = transaction.table("rows")
                while at < len(steps):
                    what, key, value = steps[at]
                    at += 1
                    if what == "set":
                        table[key] = expected[key] = value
                    elif what == "delete" and key in expected:
                        del table[key], expected[key]
                    elif what == "delete":
                        with pytest.raises(KeyError):
                            del table[key]
                    elif what == "roll back":
                        raise ZeroDivisionError
                    else:
                        break
                    assert dict(table) == expected
                    assert len(table) == len(expected)
                    assert dict(database.table("rows")) == committed
        except ZeroDivisionError:
            commits = False
        committed = expected if commits else committed
        assert dict(database.table("rows")) == committed


async def test_a_book_that_is_away_gives_no_transaction_and_commits_none() -> None:
    database = MemoryDatabase()
    book = MemoryBook(database, producer="test-1")

    async def overtaken() -> None:
        async with book.begin() as transaction:
            transaction.table("rows")["a"] = 1
            database.go_away()

    with pytest.raises(Unavailable):
        await overtaken()
    for work in (overtaken(), book.check(), book.outbox_left()):
        with pytest.raises(Unavailable):
            await work
    database.come_back()
    assert dict(database.table("rows")) == {}
    async with book.begin() as transaction:
        await transaction.lock("a")


async def test_a_commit_whose_answer_is_lost_is_published_by_the_sweep() -> None:
    database, bus = MemoryDatabase(), MemoryBus(timers=WALL_TIMERS)
    book = MemoryBook(database, producer="test-1")
    database.lose_answers(1)

    async def commit() -> None:
        async with book.begin() as transaction:
            transaction.emit(COMMANDS.name, pause(1))

    with pytest.raises(Unavailable):
        await commit()
    outbox = Outbox(book, bus, timers=WALL_TIMERS)
    assert outbox.has_any
    await outbox.flush()
    assert [entry.body for entry in await bus.tail(COMMANDS.name, count=9)] == [pause(1).to_json()]
    assert not outbox.has_any
