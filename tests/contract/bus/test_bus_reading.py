"""Publishing, reading and acknowledging, on both buses."""

import asyncio

import pytest
from testkit.bus import ORDERS, SIGNALS, TICKS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.kernel.errors import Unavailable


@pytest.mark.parametrize(
    "outgoing",
    [
        Outgoing(ORDERS, "ORDER_PLACED", b'{"a":1}'),
        Outgoing(ORDERS, "watermark", watermark_ns=1_704_080_100_000_000_000),
        Outgoing(TICKS, "ticks", bytes(range(256)) * 1500, 1_704_080_159_999_999_999, 1_704_080_100_000_000_000),
        Outgoing(TICKS, "ticks", b"", 0, 0),
        Outgoing(ORDERS, "ORDER_PLACED", b"\r\n$5\r\n\x00\xff"),
        Outgoing(ORDERS, "ORDER_FILLED", b"x", watermark_ns=7),
    ],
)
async def test_an_entry_is_read_as_it_was_published(any_bus: Bus, outgoing: Outgoing) -> None:
    subscription = await any_bus.subscribe([outgoing.stream], group="g", consumer="c")
    await any_bus.publish([outgoing])
    (entry,) = await subscription.read(block_ms=5000)
    assert (entry.stream, entry.kind, entry.body) == (outgoing.stream, outgoing.kind, outgoing.body)
    assert (entry.watermark_ns, entry.slice_start_ns) == (outgoing.watermark_ns, outgoing.slice_start_ns)
    assert entry.deliveries == 1
    assert await any_bus.tail(outgoing.stream, count=1) == [entry]


async def test_entries_of_one_stream_come_in_the_order_published(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(10)))
    for number in range(10, 20):
        await any_bus.publish(numbered(ORDERS, range(number, number + 1)))
    read: list[Entry] = []
    while len(read) < 20:
        page = await subscription.read(block_ms=5000, count=3)
        assert len(page) <= 3
        read += page
    assert bodies(read) == list(range(20))


async def test_a_group_made_later_reads_from_the_beginning(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(3)))
    subscription = await any_bus.subscribe([ORDERS], group="late", consumer="c")
    assert bodies(await subscription.read(block_ms=5000)) == [0, 1, 2]


async def test_one_publish_reaches_two_streams_of_one_reader_together(harness: Harness, any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([TICKS, ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=5000))
    await harness.until_waiting()
    await any_bus.publish([*numbered(TICKS, range(1)), *numbered(ORDERS, range(1, 2))])
    assert [(entry.stream, int(entry.body)) for entry in await waiting] == [(TICKS, 0), (ORDERS, 1)]


async def test_a_read_without_anything_to_read_is_empty(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    assert await subscription.read(block_ms=0) == []
    assert await subscription.read(block_ms=20) == []


async def test_a_waiting_read_wakes_when_something_is_published(harness: Harness, any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=60_000))
    await harness.until_waiting()
    assert not waiting.done()
    await any_bus.publish(numbered(ORDERS, range(1)))
    assert bodies(await waiting) == [0]


async def test_an_entry_is_returned_once_however_often_is_read(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(2)))
    assert bodies(await subscription.read(block_ms=5000)) == [0, 1]
    assert await subscription.read(block_ms=0) == []


async def test_two_consumers_of_a_group_share_its_entries(any_bus: Bus) -> None:
    first = await any_bus.subscribe([ORDERS], group="g", consumer="1")
    second = await any_bus.subscribe([ORDERS], group="g", consumer="2")
    await any_bus.publish(numbered(ORDERS, range(4)))
    shares = [await first.read(block_ms=5000, count=2), await second.read(block_ms=5000, count=2)]
    assert [bodies(share) for share in shares] == [[0, 1], [2, 3]]


async def test_two_groups_each_read_everything(any_bus: Bus) -> None:
    first = await any_bus.subscribe([ORDERS], group="1", consumer="c")
    second = await any_bus.subscribe([ORDERS], group="2", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(2)))
    entries = await first.read(block_ms=5000)
    await first.ack(entries)
    assert bodies(entries) == bodies(await second.read(block_ms=5000)) == [0, 1]
    assert (await first.lag(), await second.lag()) == ({ORDERS: 0}, {ORDERS: 2})


async def test_publish_and_ack_does_both(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    answers = await any_bus.subscribe([SIGNALS], group="g", consumer="c")
    await any_bus.publish(numbered(ORDERS, range(3)))
    entries = await subscription.read(block_ms=5000)
    await subscription.publish_and_ack(numbered(SIGNALS, range(7, 9)), entries[:2])
    assert bodies(await answers.read(block_ms=5000)) == [7, 8]
    assert await subscription.lag() == {ORDERS: 1}
    await subscription.publish_and_ack([], entries[2:])
    assert await subscription.lag() == {ORDERS: 0}
    await subscription.publish_and_ack(numbered(SIGNALS, range(9, 10)), [])
    assert bodies(await answers.read(block_ms=5000)) == [9]


async def test_doing_nothing_is_allowed(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    await any_bus.publish([])
    await subscription.ack([])
    await subscription.publish_and_ack([], [])
    assert await subscription.lag() == {ORDERS: 0}


async def test_lag_counts_what_is_unread_and_what_is_unacknowledged(any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS, SIGNALS], group="g", consumer="c")
    await any_bus.publish([*numbered(ORDERS, range(5)), *numbered(SIGNALS, range(2))])
    assert await subscription.lag() == {ORDERS: 5, SIGNALS: 2}
    entries = await subscription.read(block_ms=5000, count=2)
    assert await subscription.lag() == {ORDERS: 5, SIGNALS: 2}
    await subscription.ack(entries)
    assert await subscription.lag() == {ORDERS: 3, SIGNALS: 0}


async def test_a_cancelled_read_loses_nothing(harness: Harness, any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=60_000))
    await harness.until_waiting()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await any_bus.publish(numbered(ORDERS, range(3)))
    read: list[Entry] = []
    while len(read) < 3:
        read += await subscription.read(block_ms=5000)
    assert bodies(read) == [0, 1, 2]


async def test_a_subscription_is_read_by_one_task_at_a_time(harness: Harness, any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=60_000))
    await harness.until_waiting()
    with pytest.raises(RuntimeError, match="one task at a time"):
        await subscription.read(block_ms=0)
    await any_bus.publish(numbered(ORDERS, range(1)))
    assert bodies(await waiting) == [0]


async def test_a_read_that_waits_when_the_bus_is_closed_says_so(harness: Harness, any_bus: Bus) -> None:
    subscription = await any_bus.subscribe([ORDERS], group="g", consumer="c")
    waiting = asyncio.create_task(subscription.read(block_ms=60_000))
    await harness.until_waiting()
    await any_bus.close()
    with pytest.raises(Unavailable, match="the bus is closed"):
        await waiting
