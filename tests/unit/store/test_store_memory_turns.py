"""Names in the memory book: whoever stands still in a transaction keeps one from nobody, also while he waits for it."""

import asyncio

import pytest

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.memory_book import MemoryBook, MemoryDatabase

IDLE_SECONDS = 10.0


async def turns() -> None:
    """Whoever can go on does."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_waits_for_a_name_and_is_ended_hears_so_and_the_next_has_it() -> None:
    timers = SimulatedTimers(0)
    database = MemoryDatabase()
    stands_still = MemoryBook(database, producer="a-1", timers=timers, idle_seconds=IDLE_SECONDS)
    others = [MemoryBook(database, producer=f"b-{number}") for number in range(2)]
    had: list[str] = []

    async def take(book: MemoryBook) -> None:
        async with book.begin() as transaction:
            await transaction.lock("p")
            had.append(book.producer)

    async with others[0].begin() as holder:
        await holder.lock("p")
        waiting = asyncio.create_task(take(stands_still))
        await turns()
        after = asyncio.create_task(take(others[1]))
        await turns()
        assert (had, waiting.done()) == ([], False)
        timers.advance(int(IDLE_SECONDS * 1_000_000_000))
        await turns()
        with pytest.raises(Unavailable):
            await waiting
    await after
    assert had == ["b-1"]


async def test_who_gives_up_waiting_for_a_name_leaves_it_to_the_next_in_turn() -> None:
    database, had = MemoryDatabase(), list[int]()
    books = [MemoryBook(database, producer=f"a-{number}") for number in range(4)]

    async def take(number: int) -> None:
        async with books[number].begin() as transaction:
            await transaction.lock("p")
            had.append(number)

    async with books[0].begin() as holder:
        await holder.lock("p")
        tasks = []
        for number in (1, 2, 3):
            tasks.append(asyncio.create_task(take(number)))
            await turns()
        tasks[0].cancel()
        await turns()
    await asyncio.gather(*tasks[1:])
    assert had == [2, 3]
