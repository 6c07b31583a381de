"""Full streams: a live dense one is trimmed and its late reader told, a sparse one waits. On both buses."""

import pytest
from testkit.bus import ORDERS, TICKS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Entry, Subscription
from tradebus.bus.pressure import BackPressureTimeout
from tradebus.contracts.streams import STREAMS, Density, Overflow

BOUND = {ORDERS: 400, TICKS: 400}


async def publish(bus: Bus, stream: str, numbers: range) -> None:
    for start in range(numbers.start, numbers.stop, 20):
        await bus.publish(numbered(stream, range(start, min(start + 20, numbers.stop))))


async def read_to_the_end(subscription: Subscription) -> list[Entry]:
    found: list[Entry] = []
    while page := await subscription.read(block_ms=0):
        found += page
        await subscription.ack(page)
    return found


def test_what_can_be_built_anew_is_trimmed_and_what_cannot_waits() -> None:
    for stream in STREAMS:
        wanted = Overflow.WAIT if stream.producer == "external" else Overflow.WAIT_FOR_LIVING
        if stream.density is Density.DENSE:
            wanted = Overflow.TRIM_LIVE
        assert stream.overflow is wanted, stream.name


async def test_no_reader_that_is_gone_stops_the_markets_data(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1)
    retired = await bus.subscribe([TICKS], group="retired", consumer="c")
    await publish(bus, TICKS, range(100))
    await retired.read(block_ms=5000, count=50)  # and never acknowledges them
    living = await bus.subscribe([TICKS], group="living", consumer="c")
    for start in range(100, 3000, 100):
        await publish(bus, TICKS, range(start, start + 100))
        read = await read_to_the_end(living)
        assert not any(entry.after_gap for entry in read)
    assert bodies(read)[-1] == 2999
    assert len(await bus.tail(TICKS, count=3000)) <= 600, "Redis trims by whole nodes of 100 entries"


async def test_a_reader_whose_place_was_trimmed_away_is_told_once_where_the_stream_goes_on(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    slow = await bus.subscribe([TICKS], group="slow", consumer="c")
    await publish(bus, TICKS, range(50))
    before = await read_to_the_end(slow)
    await publish(bus, TICKS, range(50, 2000))
    after = await read_to_the_end(slow)
    assert not any(entry.after_gap for entry in before)
    assert [entry.after_gap for entry in after] == [True] + [False] * (len(after) - 1)
    numbers = bodies(after)
    assert numbers == list(range(numbers[0], 2000))
    assert numbers[0] > 50


async def test_a_reader_that_comes_back_after_a_trim_is_told(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    before = await bus.subscribe([TICKS], group="g", consumer="c")
    await publish(bus, TICKS, range(50))
    await read_to_the_end(before)
    await publish(bus, TICKS, range(50, 2000))
    after = await bus.subscribe([TICKS], group="g", consumer="c")
    assert (await after.read(block_ms=5000))[0].after_gap


async def test_entries_in_hand_that_were_trimmed_are_told_of_and_forgotten(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    before = await bus.subscribe([TICKS], group="g", consumer="c")
    await publish(bus, TICKS, range(50))
    await before.read(block_ms=5000, count=50)
    await publish(bus, TICKS, range(50, 2000))
    after = await bus.subscribe([TICKS], group="g", consumer="c")
    found = await read_to_the_end(after)
    assert found[0].after_gap
    assert await after.lag() == {TICKS: 0}


async def test_a_reader_that_keeps_up_or_is_new_is_told_of_no_gap(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    keeps_up = await bus.subscribe([TICKS], group="keeps_up", consumer="c")
    for start in range(0, 2000, 100):
        await publish(bus, TICKS, range(start, start + 100))
        assert not any(entry.after_gap for entry in await read_to_the_end(keeps_up))
    new = await bus.subscribe([TICKS], group="new", consumer="c")
    found = await read_to_the_end(new)
    assert not any(entry.after_gap for entry in found)
    assert bodies(found)[-1] == 1999


async def test_in_a_paced_run_dense_streams_wait_for_their_readers_too(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1, paced=True)
    subscription = await bus.subscribe([TICKS], group="slow", consumer="c")
    with pytest.raises(BackPressureTimeout):
        await publish(bus, TICKS, range(2000))
    read = await read_to_the_end(subscription)
    assert bodies(read) == list(range(len(read)))


async def test_a_sparse_stream_loses_nothing_until_its_retired_reader_leaves(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1)
    await bus.subscribe([ORDERS], group="retired", consumer="c")
    with pytest.raises(BackPressureTimeout, match="tradebus streams retire retired"):
        await publish(bus, ORDERS, range(1000))
    await bus.leave([ORDERS], group="retired")
    await publish(bus, ORDERS, range(1000))


async def test_the_groups_of_a_stream_say_how_far_behind_and_how_silent_they_are(harness: Harness) -> None:
    bus = await harness.bus()
    reader = await bus.subscribe([ORDERS], group="reader", consumer="c")
    await bus.subscribe([ORDERS], group="never", consumer="c")
    await publish(bus, ORDERS, range(10))
    await reader.ack(await reader.read(block_ms=5000, count=4))
    await harness.let_idle(30)
    never, read = await bus.groups(ORDERS)
    assert (never.name, never.unacknowledged, never.silent_seconds) == ("never", 10, None)
    assert (read.name, read.unacknowledged) == ("reader", 6)
    assert read.silent_seconds is not None
    assert read.silent_seconds >= 0.03
    assert await bus.groups("no.such.stream") == []


async def test_what_is_erased_is_done_with_and_nobody_reads_it_again(harness: Harness) -> None:
    bus = await harness.bus()
    first = await bus.subscribe([ORDERS], group="first", consumer="c")
    await publish(bus, ORDERS, range(5))
    entries = await first.read(block_ms=5000)
    await first.erase(entries[1:3])
    await first.erase(entries[1:3])
    second = await bus.subscribe([ORDERS], group="second", consumer="c")
    assert bodies(await second.read(block_ms=5000)) == [0, 3, 4]
    assert bodies(await bus.tail(ORDERS, count=9)) == [0, 3, 4]
    assert await first.lag() == {ORDERS: 3}
    again = await bus.subscribe([ORDERS], group="first", consumer="c")
    assert bodies(await again.read(block_ms=5000)) == [0, 3, 4]


async def test_the_entry_that_was_in_hand_when_lives_ended_is_known(harness: Harness) -> None:
    bus = await harness.bus()
    await publish(bus, ORDERS, range(5))
    for lives in range(4):
        life = await bus.subscribe([ORDERS], group="g", consumer="c")
        entries = await life.read(block_ms=5000)
        assert [await life.take_in_hand(entry) for entry in entries[:2]] == [0, lives]
        assert await life.take_in_hand(entries[1]) == lives, "asked twice it is still one life"
    other = await bus.subscribe([ORDERS], group="g", consumer="other")
    assert await other.take_in_hand(entries[1]) == 0


async def test_what_is_urgent_waits_for_no_room_and_trims_nothing_unfinished(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1)
    subscription = await bus.subscribe([ORDERS], group="asleep", consumer="c")
    with pytest.raises(BackPressureTimeout):
        await publish(bus, ORDERS, range(1000))
    await bus.publish(numbered(ORDERS, range(5000, 5001)), urgent=True)
    read = bodies(await read_to_the_end(subscription))
    assert read == [*range(len(read) - 1), 5000]


async def test_an_urgent_entry_needs_no_stream_that_is_there(harness: Harness) -> None:
    bus = await harness.bus()
    await bus.publish(numbered(ORDERS, range(1)), urgent=True)
    assert bodies(await bus.tail(ORDERS, count=9)) == [0]
