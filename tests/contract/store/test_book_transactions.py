"""Inbox, emission and locks. On both books."""

import asyncio

import pytest
from testkit.books import BookHarness
from testkit.pauses import pause

from tradebus.contracts.streams import COMMANDS
from tradebus.runtime.patience import PASSING
from tradebus.store.book import Book


async def handle_and_fail(book: Book) -> None:
    async with book.begin() as transaction:
        assert await transaction.first_time("risk", "m")
        transaction.emit(COMMANDS.name, pause(1))
        raise ZeroDivisionError


async def test_a_transaction_that_raises_leaves_no_row_of_any_kind(books: BookHarness, book: Book) -> None:
    with pytest.raises(ZeroDivisionError):
        await handle_and_fail(book)
    assert await books.counts() == (0, 0, 0)
    assert book.backlog.take() == []


async def test_a_cancelled_transaction_leaves_nothing(books: BookHarness, book: Book) -> None:
    started = asyncio.Event()

    async def handle() -> None:
        async with book.begin() as transaction:
            await transaction.first_time("risk", "m")
            transaction.emit(COMMANDS.name, pause(1))
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(handle())
    await started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await books.counts() == (0, 0, 0)


async def test_emitting_after_the_end_of_a_transaction_is_refused(book: Book) -> None:
    async with book.begin() as transaction:
        pass
    with pytest.raises(RuntimeError, match="PAUSE_TRADING"):
        transaction.emit(COMMANDS.name, pause(1))


async def test_an_event_emitted_again_is_recorded_once_and_published_again(books: BookHarness, book: Book) -> None:
    for _ in range(2):
        async with book.begin() as transaction:
            transaction.emit(COMMANDS.name, pause(1))
    assert await books.counts() == (0, 2, 1)


async def test_a_message_delivered_twice_is_handled_once(book: Book) -> None:
    answers = []
    for consumer in ("risk", "risk", "execution"):
        async with book.begin() as transaction:
            answers.append(await transaction.first_time(consumer, "m"))
    assert answers == [True, False, True]


async def test_a_message_whose_first_handling_failed_is_handled_again(book: Book) -> None:
    with pytest.raises(ZeroDivisionError):
        await handle_and_fail(book)
    async with book.begin() as transaction:
        assert await transaction.first_time("risk", "m")


async def test_a_message_handled_at_once_by_two_processes_has_one_effect(books: BookHarness, book: Book) -> None:
    other = await books.book("test-2")
    handled: list[int] = []

    async def handle(where: Book, number: int) -> None:
        async with where.begin() as transaction:
            if await transaction.first_time("execution", f"message {number}"):
                handled.append(number)
                transaction.emit(COMMANDS.name, pause(number))

    deliveries = [handle(where, number) for number in range(200) for where in (book, other, book)]
    await asyncio.gather(*deliveries)
    assert sorted(handled) == list(range(200))
    assert await books.counts() == (200, 200, 200)


async def test_the_one_who_waits_for_a_first_handling_that_fails_becomes_the_first(book: Book) -> None:
    inside, fail = asyncio.Event(), asyncio.Event()
    order: list[str] = []

    async def failing() -> None:
        async with book.begin() as transaction:
            assert await transaction.first_time("risk", "m")
            inside.set()
            await fail.wait()
            order.append("failed")
            raise ZeroDivisionError

    async def waiting() -> bool:
        await inside.wait()
        async with book.begin() as transaction:
            fail.set()
            first: bool = await transaction.first_time("risk", "m")
            order.append("asked")
            return first

    results = await asyncio.gather(failing(), waiting(), return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] is True
    assert order == ["failed", "asked"]


async def test_a_name_lets_one_transaction_in_at_a_time_and_others_are_not_held_up(
    books: BookHarness, book: Book
) -> None:
    other = await books.book("test-2")
    ran: list[str] = []

    async def work(where: Book, number: int) -> None:
        async with where.begin() as transaction:
            await transaction.lock("p")
            ran.append(f"in {number}")
            await transaction.first_time("x", f"{number}")  # whoever could come in would do so meanwhile
            ran.append(f"out {number}")

    await asyncio.gather(*(work(where, number) for number, where in enumerate([book, other] * 10)))
    assert all(entered.split()[1] == left.split()[1] for entered, left in zip(ran[::2], ran[1::2], strict=True))
    async with book.begin() as holds_p:
        await holds_p.lock("p")
        async with other.begin() as wants_q:
            await wants_q.lock("q")


async def test_a_lock_taken_twice_is_one_lock(book: Book) -> None:
    for _ in range(2):
        async with book.begin() as transaction:
            await transaction.lock("p")
            await transaction.lock("p")


async def test_what_is_emitted_is_seen_only_after_the_commit(books: BookHarness, book: Book) -> None:
    async with book.begin() as transaction:
        await transaction.first_time("risk", "m")
        transaction.emit(COMMANDS.name, pause(1))
        assert await books.counts() == (0, 0, 0)
    assert await books.counts() == (1, 1, 1)
    (row,) = book.backlog.take()
    assert (row.outgoing.stream, row.outgoing.kind, row.outgoing.body) == (
        COMMANDS.name, "PAUSE_TRADING", pause(1).to_json(),
    )  # fmt: skip


async def test_a_book_that_answers_is_checked_without_a_word(book: Book) -> None:
    await book.check()


async def test_who_stands_still_in_a_transaction_holds_nobody_up_and_has_written_nothing(books: BookHarness) -> None:
    still, other = await books.book("test-1", idle_seconds=0.2), await books.book("test-2")
    held, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        async with still.begin() as transaction:
            await transaction.lock("p")
            held.set()
            await goes_on.wait()
            transaction.emit(COMMANDS.name, pause(1))

    standing = asyncio.create_task(stand_still())
    await held.wait()
    async with other.begin() as transaction:
        await transaction.lock("p")  # waits no longer than that
    goes_on.set()
    with pytest.raises(PASSING):
        await standing
    assert await books.counts() == (0, 0, 0)
    async with still.begin() as transaction:
        await transaction.lock("p")
