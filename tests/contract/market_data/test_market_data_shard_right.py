"""The right to fill the streams: one has it, and whoever dies or loses its connection lets go. On both books."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from testkit.books import BookHarness

from services.market_data.books import market_books
from services.market_data.books.shard_right import take_shard
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import SimulatedTimers
from tradebus.store.books.name_right import NameRight
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

Process = Callable[[str], Awaitable[tuple[NameRight, Callable[[], Awaitable[None]]]]]


@pytest.fixture
def process(books: BookHarness, namespace: str) -> Process:
    """A process's right, and how all its connections end at once."""

    async def begin(producer: str) -> tuple[NameRight, Callable[[], Awaitable[None]]]:
        book = await books.book(f"{producer}-{namespace}")

        async def die() -> None:
            if isinstance(book, MemoryBook):
                book.terminate()
                return
            other = await books.book("other")
            assert isinstance(other, Store)
            await other.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", book.producer
            )

        return market_books(book, namespace=namespace).right, die

    return begin


async def test_one_process_has_it_until_it_lets_go(process: Process) -> None:
    (first, _), (second, _) = await process("first"), await process("second")
    assert await first.try_take()
    assert not await second.try_take()
    first.require_taken()
    await first.release()
    assert await second.try_take()
    second.require_taken()
    await second.release()


async def test_two_parts_of_one_process_are_two(books: BookHarness, namespace: str) -> None:
    book = await books.book("one")
    first, second = (market_books(book, namespace=namespace).right for _ in range(2))
    assert await first.try_take()
    assert not await second.try_take()
    await first.release()
    assert await second.try_take()
    await second.release()


async def test_who_never_took_it_or_let_go_must_not_write(process: Process) -> None:
    right, _ = await process("one")
    with pytest.raises(Unavailable, match="the only feed; start market_data again"):
        right.require_taken()
    assert await right.try_take()
    await right.release()
    await right.release()
    with pytest.raises(Unavailable, match="the only feed"):
        right.require_taken()


async def test_whoever_dies_lets_go_and_must_not_write_any_more(process: Process) -> None:
    (first, die), (second, _) = await process("first"), await process("second")
    assert await first.try_take()
    assert not await second.try_take()
    try:
        await die()
        async with asyncio.timeout(20):
            while is_taken(first) or not await second.try_take():
                await asyncio.sleep(0.01)
        second.require_taken()
        with pytest.raises(Unavailable, match="closed the connection that makes this the only feed"):
            first.require_taken()
        with pytest.raises(Unavailable, match="closed the connection that makes this the only feed"):
            await first.try_take()
    finally:
        await first.release()
        await second.release()


def is_taken(right: NameRight) -> bool:
    try:
        right.require_taken()
    except Unavailable:
        return False
    return True


async def test_who_stands_by_has_it_once_the_other_lets_go_and_gives_up_when_told(process: Process) -> None:
    (first, _), (second, _), (third, _) = [await process(name) for name in ("first", "second", "third")]
    timers, stop = SimulatedTimers(), asyncio.Event()
    assert await take_shard(first, stop, timers=timers)
    waiting = asyncio.create_task(take_shard(second, stop, timers=timers))
    await until_due(timers)
    await first.release()
    assert not waiting.done()
    timers.advance(timers.now_ns() + 10**9)
    async with asyncio.timeout(20):
        assert await waiting
    standing = asyncio.create_task(take_shard(third, stop, timers=timers))
    await until_due(timers)
    stop.set()
    async with asyncio.timeout(20):
        assert not await standing
    await second.release()
    await third.release()


async def until_due(timers: SimulatedTimers) -> None:
    """Until somebody waits by these timers."""
    async with asyncio.timeout(20):
        while timers.next_due_ns() is None:
            await asyncio.sleep(0.005)
