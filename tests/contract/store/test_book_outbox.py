"""The outbox between a book and a bus. On both books, over the bus in memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from testkit.books import BookHarness
from testkit.pauses import bodies, commit, expected, pause
from testkit.waiting import WALL_TIMERS

from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.streams import COMMANDS, SESSIONS
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.patience import PASSING
from tradebus.store.book import Book
from tradebus.store.outbox import Outbox

STREAM = COMMANDS.name


@pytest.fixture
async def bus() -> AsyncIterator[Bus]:
    made = MemoryBus(timers=WALL_TIMERS)
    yield made
    await made.close()


async def rows_left(books: BookHarness) -> int:
    return (await books.counts())[1]


async def rows_gone(books: BookHarness) -> None:
    async with asyncio.timeout(30):
        while await rows_left(books):
            await asyncio.sleep(0.02)


class Refusing:
    """A publisher that refuses so many times, as a bus under back-pressure does, then is the one it stands before."""

    def __init__(self, bus: Bus, *, times: int) -> None:
        self._bus = bus
        self._times = times
        self.at_most = bus.at_most

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        if self._times:
            self._times -= 1
            raise Unavailable("refused")
        await self._bus.publish(outgoing)


async def test_flush_publishes_in_the_order_of_the_commits_then_the_watermark(book: Book, bus: Bus) -> None:
    outbox = Outbox(book, bus, timers=WALL_TIMERS)
    await commit(book, 1, 2)
    await commit(book, 3)
    await outbox.flush(then=[Outgoing(STREAM, "watermark", watermark_ns=9)])
    entries = await bus.tail(STREAM, count=10)
    assert [entry.body for entry in entries[:3]] == expected(1, 2, 3)
    assert [entry.kind for entry in entries] == ["PAUSE_TRADING"] * 3 + ["watermark"]
    assert entries[3].watermark_ns == 9


async def test_what_is_more_than_a_stream_takes_at_once_goes_out_in_parts_and_in_order(book: Book) -> None:
    small = MemoryBus(timers=WALL_TIMERS, max_entries={STREAM: 16})
    outbox = Outbox(book, small, timers=WALL_TIMERS)
    await commit(book, *range(100))
    await outbox.flush(then=[Outgoing(STREAM, "watermark", watermark_ns=9)])
    assert [entry.kind for entry in await small.tail(STREAM, count=2)] == ["PAUSE_TRADING", "watermark"]
    assert (await bodies(small))[-10:] == [*expected(*range(91, 100)), b""]
    assert not outbox.has_any


async def test_flush_with_nothing_committed_publishes_nothing(book: Book, bus: Bus) -> None:
    await Outbox(book, bus, timers=WALL_TIMERS).flush()
    assert await bodies(bus) == []


async def test_a_rolled_back_transaction_is_not_published(book: Book, bus: Bus) -> None:
    outbox = Outbox(book, bus, timers=WALL_TIMERS)

    async def failing() -> None:
        async with book.begin() as transaction:
            transaction.emit(STREAM, pause(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing()
    await commit(book, 2)
    await outbox.flush()
    assert await bodies(bus) == expected(2)


async def test_flush_acknowledges_after_publishing(book: Book, bus: Bus) -> None:
    await bus.publish([Outgoing(SESSIONS.name, "PAUSE_TRADING", pause(1).to_json())])
    subscription = await bus.subscribe([SESSIONS.name], group="g", consumer="c")
    entries = await subscription.read(block_ms=5000)
    assert (await subscription.lag())[SESSIONS.name] == 1
    await commit(book, 2)
    await Outbox(book, bus, timers=WALL_TIMERS).flush(ack=(subscription, entries))
    assert await bodies(bus) == expected(2)
    assert (await subscription.lag())[SESSIONS.name] == 0


async def test_published_rows_are_deleted_by_themselves_and_not_published_again(
    books: BookHarness, book: Book, bus: Bus
) -> None:
    outbox = Outbox(book, bus, timers=WALL_TIMERS)
    await commit(book, 1, 2, 3)
    await outbox.flush()
    assert await outbox.sweep() == 0, "rows that wait for their deletion are no leftovers"
    await rows_gone(books)
    assert await outbox.sweep() == 0
    assert await bodies(bus) == expected(1, 2, 3)


async def test_a_refused_publish_raises_and_loses_nothing(books: BookHarness, book: Book, bus: Bus) -> None:
    outbox = Outbox(book, Refusing(bus, times=2), timers=WALL_TIMERS)  # type: ignore[arg-type]
    await commit(book, 1)
    with pytest.raises(Unavailable):
        await outbox.flush()
    await commit(book, 2)
    with pytest.raises(Unavailable):
        await outbox.flush()
    await outbox.flush()
    assert await bodies(bus) == expected(1, 2)
    await rows_gone(books)


async def test_a_refused_sweep_raises_and_is_made_up_for_by_the_next_flush(
    books: BookHarness, book: Book, bus: Bus
) -> None:
    crashed = await books.book("test-1")
    await commit(crashed, 1)
    await crashed.close()
    outbox = Outbox(book, Refusing(bus, times=1), timers=WALL_TIMERS)  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        await outbox.sweep()
    assert await rows_left(books) == 1
    await outbox.flush()
    assert await bodies(bus) == expected(1)
    assert await rows_left(books) == 0


async def test_another_instance_of_the_service_publishes_what_the_dead_one_left_once_it_has_lain_long_enough(
    books: BookHarness, bus: Bus
) -> None:
    dead = await books.book("execution-1")
    await commit(dead, 1, 2)
    await dead.close()
    alive = await books.book("execution-2")
    stranger = await books.book("execution_tests-1")
    assert await Outbox(stranger, bus, abandoned_after_seconds=0, timers=WALL_TIMERS).sweep() == 0
    assert await Outbox(alive, bus, timers=WALL_TIMERS).sweep() == 0, (
        "seen for the first time: its instance may be about to publish"
    )
    assert await Outbox(alive, bus, abandoned_after_seconds=0, timers=WALL_TIMERS).sweep() == 2
    assert await rows_left(books) == 0
    assert await bodies(bus) == expected(1, 2)


async def test_two_instances_that_sweep_at_once_publish_each_row_once(books: BookHarness, bus: Bus) -> None:
    dead = await books.book("execution-1")
    numbers = range(1, 1201)
    await commit(dead, *numbers)
    await dead.close()
    alive = [await books.book(f"execution-{number}") for number in (2, 3, 4)]
    swept = await asyncio.gather(
        *(Outbox(book, bus, abandoned_after_seconds=0, timers=WALL_TIMERS).sweep() for book in alive)
    )
    assert sum(swept) == len(numbers)
    assert await bodies(bus) == expected(*numbers)


async def test_transactions_on_one_position_are_published_in_the_order_they_ran(book: Book, bus: Bus) -> None:
    outbox = Outbox(book, bus, timers=WALL_TIMERS)
    ran: dict[str, list[bytes]] = {"a": [], "b": []}

    async def work(pos_id: str, number: int) -> None:
        async with book.begin() as transaction:
            await transaction.lock(pos_id)
            message = pause(number, pos_id=pos_id)
            ran[pos_id].append(message.to_json())
            transaction.emit(STREAM, message)
        await outbox.flush()

    await asyncio.gather(*(work(pos_id, number) for number in range(150) for pos_id in ran))
    published = await bodies(bus)
    assert len(published) == 300
    for pos_id, in_order in ran.items():
        assert [body for body in published if f'"pos_id":"{pos_id}"'.encode() in body] == in_order


async def test_concurrent_flushes_return_only_when_their_own_messages_are_out(book: Book, bus: Bus) -> None:
    outbox = Outbox(book, bus, timers=WALL_TIMERS)

    async def work(number: int) -> None:
        await commit(book, number)
        await outbox.flush()
        assert pause(number).to_json() in await bodies(bus)

    await asyncio.gather(*(work(number) for number in range(40)))
    assert sorted(await bodies(bus)) == sorted(expected(*range(40)))


async def test_a_backlog_of_many_leaves_in_pieces_and_in_order(book: Book) -> None:
    bus = MemoryBus(max_entries={STREAM: 8_000}, timers=WALL_TIMERS)  # takes 6,000 in one publish
    outbox = Outbox(book, bus, timers=WALL_TIMERS)
    await commit(book, *range(7_000))
    await outbox.flush(then=[Outgoing(STREAM, "watermark", watermark_ns=9)])
    assert await bodies(bus) == [*expected(*range(7_000)), b""]


async def test_who_stands_still_while_taking_what_is_left_finds_it_another_s(books: BookHarness) -> None:
    still, other = await books.book("execution-1", idle_seconds=0.2), await books.book("execution-1")
    await commit(still, 1, 2)
    ids = [outbox_id for outbox_id, _ in await other.outbox_left()]
    held, goes_on = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        async with still.taking_left(ids) as rows:
            assert len(rows) == 2
            held.set()
            await goes_on.wait()

    standing = asyncio.create_task(stand_still())
    await held.wait()
    async with other.taking_left(ids) as rows:  # waits no longer than that
        assert len(rows) == 2
    goes_on.set()
    with pytest.raises(PASSING):
        await standing
    assert await rows_left(books) == 0
