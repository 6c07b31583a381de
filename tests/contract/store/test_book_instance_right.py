"""Of one name one process runs: the second is refused, the next life comes in, on both books."""

import asyncio

from testkit.books import BookHarness
from testkit.simulated import passes

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import SimulatedTimers
from tradebus.runtime.process.instance import InstanceRight
from tradebus.store.book import Book
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store


async def process(
    books: BookHarness, namespace: str, timers: SimulatedTimers, *, number: int, instance: str = "1"
) -> tuple[InstanceRight, Book]:
    book = await books.book(f"execution-{number}-{namespace}")
    return InstanceRight(book, "execution", instance=instance, namespace=namespace, timers=timers), book


async def cut(books: BookHarness, book: Book) -> None:
    """All its connections end, as they do with its process."""
    if isinstance(book, MemoryBook):
        book.terminate()
        return
    other = await books.book("other")
    assert isinstance(other, Store)
    await other.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", book.producer
    )


async def outcome(taking: "asyncio.Task[None]", timers: SimulatedTimers) -> BaseException | None:
    """What becomes of it, while time passes."""
    async with asyncio.timeout(20):
        while not taking.done():
            await asyncio.sleep(0.002)
            if timers.next_due_ns() is not None:
                await passes(timers, 0.2)
    return taking.exception()


async def test_a_second_process_of_one_name_is_refused_and_told_what_to_do(books: BookHarness, namespace: str) -> None:
    timers = SimulatedTimers()
    first, _ = await process(books, namespace, timers, number=1)
    second, _ = await process(books, namespace, timers, number=2)
    await first.take()
    refused = await outcome(asyncio.create_task(second.take()), timers)
    assert isinstance(refused, Unavailable)
    assert "another execution runs as instance '1'" in str(refused)
    assert "TRADEBUS_INSTANCE" in str(refused)
    await first.release()
    await second.take()
    await second.release()


async def test_other_names_and_other_namespaces_are_nobodys_business(books: BookHarness, namespace: str) -> None:
    timers = SimulatedTimers()
    rights = [
        (await process(books, namespace, timers, number=1))[0],
        (await process(books, namespace, timers, number=2, instance="2"))[0],
    ]
    for right in rights:
        await right.take()
    for right in rights:
        await right.release()


async def test_the_next_life_comes_in_once_the_server_has_missed_the_last(books: BookHarness, namespace: str) -> None:
    timers = SimulatedTimers()
    last, book = await process(books, namespace, timers, number=1)
    new, _ = await process(books, namespace, timers, number=2)
    await last.take()
    taking = asyncio.create_task(new.take())
    await asyncio.sleep(0)
    await cut(books, book)
    assert await outcome(taking, timers) is None
    await new.release()
    await last.release()


async def test_it_is_taken_again_where_the_book_closed_the_connection(books: BookHarness, namespace: str) -> None:
    timers, stop = SimulatedTimers(), asyncio.Event()
    one, book = await process(books, namespace, timers, number=1)
    await one.take()
    running = asyncio.create_task(one.run(stop))
    await cut(books, book)
    other, _ = await process(books, namespace, timers, number=2)
    async with asyncio.timeout(20):
        while not await is_refused(other, timers):
            await other.release()
            await passes(timers, 1.0)
    stop.set()
    assert await outcome(running, timers) is None
    await one.release()


async def is_refused(right: InstanceRight, timers: SimulatedTimers) -> bool:
    return isinstance(await outcome(asyncio.create_task(right.take()), timers), Unavailable)


async def test_a_process_whose_name_another_has_taken_meanwhile_ends(books: BookHarness, namespace: str) -> None:
    timers, stop = SimulatedTimers(), asyncio.Event()
    one, book = await process(books, namespace, timers, number=1)
    other, _ = await process(books, namespace, timers, number=2)
    await one.take()
    await cut(books, book)
    assert await outcome(asyncio.create_task(other.take()), timers) is None
    running = asyncio.create_task(one.run(stop))
    assert isinstance(await outcome(running, timers), Unavailable)
    await other.release()
