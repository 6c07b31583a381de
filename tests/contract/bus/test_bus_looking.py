"""Looking at streams without a group, and pub/sub. On both buses."""

import asyncio

import pytest
from testkit.bus import ORDERS, SIGNALS, TICKS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Outgoing


async def test_a_stream_without_entries_has_no_tail_and_no_watermark(any_bus: Bus) -> None:
    assert await any_bus.tail(ORDERS, count=3) == []
    assert await any_bus.last_watermark(ORDERS) is None
    await any_bus.publish(numbered(ORDERS, range(2)))
    assert await any_bus.last_watermark(ORDERS) is None


async def test_the_tail_is_the_newest_entries_oldest_first(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(5)))
    assert bodies(await any_bus.tail(ORDERS, count=3)) == [2, 3, 4]
    assert bodies(await any_bus.tail(ORDERS, count=50)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("entries_after", [0, 1, 63, 64, 65, 200])
async def test_the_last_watermark_is_found_behind_any_number_of_entries(any_bus: Bus, entries_after: int) -> None:
    await any_bus.publish(
        [Outgoing(ORDERS, "watermark", watermark_ns=5), Outgoing(ORDERS, "watermark", watermark_ns=9)]
    )
    await any_bus.publish(numbered(ORDERS, range(entries_after)))
    assert await any_bus.last_watermark(ORDERS) == 9


async def test_following_from_the_beginning_returns_everything_once(any_bus: Bus) -> None:
    await any_bus.publish([*numbered(ORDERS, range(3)), *numbered(SIGNALS, range(3, 5))])
    after = {ORDERS: "0", SIGNALS: "0"}
    found = await any_bus.follow([ORDERS, SIGNALS], after=after, block_ms=0)
    assert bodies(found) == [0, 1, 2, 3, 4]
    for entry in found:
        after[entry.stream] = entry.entry_id
    assert await any_bus.follow([ORDERS, SIGNALS], after=after, block_ms=10) == []
    await any_bus.publish(numbered(SIGNALS, range(5, 6)))
    assert bodies(await any_bus.follow([ORDERS, SIGNALS], after=after, block_ms=5000)) == [5]


async def test_following_from_now_misses_nothing_between_two_calls(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(3)))
    after = {ORDERS: "$"}
    assert await any_bus.follow([ORDERS, TICKS], after=after, block_ms=0) == []
    await any_bus.publish([*numbered(ORDERS, range(3, 4)), *numbered(TICKS, range(4, 5))])
    assert bodies(await any_bus.follow([ORDERS, TICKS], after=after, block_ms=0)) == [3, 4]


async def test_a_waiting_follower_wakes_when_something_is_published(harness: Harness, any_bus: Bus) -> None:
    waiting = asyncio.create_task(any_bus.follow([ORDERS], after={ORDERS: "$"}, block_ms=60_000))
    await harness.until_waiting()
    assert not waiting.done()
    await any_bus.publish(numbered(ORDERS, range(1)))
    assert bodies(await waiting) == [0]


async def test_a_cancelled_follower_leaves_the_bus_usable(harness: Harness, any_bus: Bus) -> None:
    waiting = asyncio.create_task(any_bus.follow([ORDERS], after={ORDERS: "$"}, block_ms=60_000))
    await harness.until_waiting()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await any_bus.publish(numbered(ORDERS, range(1)))
    assert bodies(await any_bus.follow([ORDERS], after={ORDERS: "0"}, block_ms=0)) == [0]


async def test_every_listener_of_a_channel_hears_what_is_broadcast_on_it(any_bus: Bus) -> None:
    first, second = any_bus.listen("trading:commands"), any_bus.listen("trading:commands")
    other = any_bus.listen("trading:events")
    for listener in (first, second, other):
        await listener.ready()
        await listener.ready()
    for body in (b"one", b"\x00\xff", b""):
        await any_bus.broadcast("trading:commands", body)
    await any_bus.broadcast("trading:events", b"event")
    for listener in (first, second):
        assert [await anext(listener) for _ in range(3)] == [b"one", b"\x00\xff", b""]
    assert await anext(other) == b"event"


async def test_a_listener_hears_nothing_from_before_it_listened(any_bus: Bus) -> None:
    await any_bus.broadcast("trading:commands", b"early")
    listener = any_bus.listen("trading:commands")
    await listener.ready()
    await any_bus.broadcast("trading:commands", b"late")
    assert await anext(listener) == b"late"


async def test_a_closed_listener_ends(any_bus: Bus) -> None:
    listener = any_bus.listen("trading:commands")
    await listener.ready()
    heard: list[bytes] = []
    first = asyncio.Event()

    async def hear() -> None:
        async for body in listener:
            heard.append(body)
            first.set()

    hearing = asyncio.create_task(hear())
    await any_bus.broadcast("trading:commands", b"one")
    await first.wait()
    await listener.aclose()
    await hearing
    assert heard == [b"one"]
    with pytest.raises(StopAsyncIteration):
        await anext(listener)
