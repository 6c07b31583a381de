"""Several subscriptions as one: a stream shared with others of a group beside one's own. On both buses."""

import asyncio

import pytest
from testkit.bus import ORDERS, SIGNALS, TICKS, Harness, bodies, numbered
from testkit.waiting import WALL_TIMERS

from tradebus.bus.port import Bus, Entry, Subscription
from tradebus.bus.several import SeveralSubscriptions
from tradebus.kernel.errors import Unavailable


async def both(bus: Bus) -> SeveralSubscriptions:
    shared = await bus.subscribe([ORDERS], group="shared", consumer="1")
    own = await bus.subscribe([TICKS], group="own", consumer="1")
    return SeveralSubscriptions({ORDERS: shared, TICKS: own}, timers=WALL_TIMERS)


async def read_all(subscription: Subscription, count: int) -> list[Entry]:
    found: list[Entry] = []
    while len(found) < count:
        found += await subscription.read(block_ms=5000)
    return found


async def test_entries_of_every_subscription_come_in_their_streams_order(any_bus: Bus) -> None:
    several = await both(any_bus)
    for number in range(5):
        await any_bus.publish(
            [*numbered(ORDERS, range(number, number + 1)), *numbered(TICKS, range(number, number + 1))]
        )
    found = await read_all(several, 10)
    for stream in (ORDERS, TICKS):
        assert bodies([entry for entry in found if entry.stream == stream]) == [0, 1, 2, 3, 4]
    await several.close()


async def test_each_entry_is_acknowledged_where_it_was_read(any_bus: Bus) -> None:
    several = await both(any_bus)
    await any_bus.publish([*numbered(ORDERS, range(2)), *numbered(TICKS, range(2))])
    first, second, *rest = await read_all(several, 4)
    await several.publish_and_ack(numbered(SIGNALS, range(7, 8)), [first, second])
    assert sum((await several.lag()).values()) == 2
    await several.ack(rest)
    assert await several.lag() == {ORDERS: 0, TICKS: 0}
    await several.publish_and_ack(numbered(SIGNALS, range(8, 9)), [])
    assert bodies(await any_bus.tail(SIGNALS, count=9)) == [7, 8]
    await several.close()


async def test_what_a_cancelled_or_closed_read_had_fetched_is_not_lost(harness: Harness, any_bus: Bus) -> None:
    several = await both(any_bus)
    reading = asyncio.create_task(several.read(block_ms=60_000))
    await harness.until_waiting()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await any_bus.publish(numbered(TICKS, range(1)))
    assert bodies(await read_all(several, 1)) == [0]
    await several.close()
    await any_bus.publish(numbered(ORDERS, range(1, 2)))
    assert bodies(await read_all(await both(any_bus), 2)) in ([0, 1], [1, 0])


async def test_a_failing_subscription_takes_nothing_of_the_others_along(harness: Harness) -> None:
    bus = await harness.bus()

    class Failing:
        def __init__(self) -> None:
            self.failures = 0

        async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
            self.failures += 1
            if self.failures == 1:
                await asyncio.sleep(0)
                raise Unavailable("gone")
            await asyncio.sleep(block_ms / 1000)  # as a reader with nothing to read
            return []

        async def close(self) -> None:
            return

    own = await bus.subscribe([TICKS], group="own", consumer="1")
    several = SeveralSubscriptions({ORDERS: Failing(), TICKS: own}, timers=WALL_TIMERS)  # type: ignore[dict-item]
    await bus.publish(numbered(TICKS, range(3)))
    found: list[int] = []
    errors = 0
    while len(found) < 3 or not errors:
        try:
            found += bodies(await several.read(block_ms=100))
        except Unavailable:
            errors += 1
        await asyncio.sleep(0)
    assert (found, errors) == ([0, 1, 2], 1)
    await several.close()


async def test_idle_entries_and_dead_letters_go_to_their_owner(any_bus: Bus) -> None:
    dead = await any_bus.subscribe([ORDERS], group="shared", consumer="dead")
    several = await both(any_bus)
    await any_bus.publish(numbered(ORDERS, range(1)))
    await dead.read(block_ms=5000)
    (claimed,) = await several.claim_idle(min_idle_ms=0)
    await several.dead_letter(claimed, reason="why")
    assert [letter.origin_group for letter in await any_bus.dead_letters(ORDERS, count=9)] == ["shared"]
    assert await several.lag() == {ORDERS: 0, TICKS: 0}
    await several.close()
