"""Bounded streams: publishers wait rather than trim what is not finished. On both buses."""

import asyncio

import pytest
from testkit.bus import ORDERS, SIGNALS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Entry, Subscription
from tradebus.bus.pressure import BackPressureTimeout

BOUND = {ORDERS: 400}


async def publish_singly(bus: Bus, numbers: range, *, reader: Subscription | None = None) -> None:
    """One publish for each number; `reader` reads and acknowledges each at once."""
    for number in numbers:
        await bus.publish(numbered(ORDERS, range(number, number + 1)))
        if reader is not None:
            await reader.ack(await reader.read(block_ms=5000))


async def test_a_full_stream_makes_its_publisher_wait_until_it_is_read(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    subscription = await bus.subscribe([ORDERS], group="slow", consumer="c")
    publishing = asyncio.create_task(publish_singly(bus, range(2000)))
    await asyncio.sleep(0.5)  # time to run over the bound in: a slow machine would prove less, never fail
    assert not publishing.done()
    assert len(await bus.tail(ORDERS, count=2000)) <= 400
    read: list[Entry] = []
    while len(read) < 2000:
        entries = await subscription.read(block_ms=5000, count=50)
        await subscription.ack(entries)
        read += entries
    await publishing
    assert bodies(read) == list(range(2000))


async def test_what_is_read_but_not_acknowledged_is_not_trimmed_either(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.2)
    subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
    await bus.publish(numbered(ORDERS, range(10)))
    stuck, *rest = await subscription.read(block_ms=5000)
    await subscription.ack(rest)
    with pytest.raises(BackPressureTimeout):
        await publish_singly(bus, range(10, 1000), reader=subscription)
    assert 250 < bodies(await bus.tail(ORDERS, count=1))[0] < 400
    again = await bus.subscribe([ORDERS], group="g", consumer="c")
    (left,) = await again.read(block_ms=5000)
    assert (left.entry_id, left.body) == (stuck.entry_id, stuck.body)


async def test_a_publisher_that_started_later_does_not_trim_what_an_earlier_life_left(harness: Harness) -> None:
    first = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.2)
    subscription = await first.subscribe([ORDERS], group="g", consumer="c")
    await first.publish(numbered(ORDERS, range(200)))
    stuck, *rest = await subscription.read(block_ms=5000)
    await subscription.ack(rest)
    second = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.2)
    with pytest.raises(BackPressureTimeout):
        await publish_singly(second, range(200, 1000))
    again = await second.subscribe([ORDERS], group="g", consumer="c")
    assert (await again.read(block_ms=5000))[0].entry_id == stuck.entry_id


async def test_a_stream_that_stays_full_is_an_error_naming_stream_and_group(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1)
    await bus.subscribe([ORDERS], group="asleep", consumer="c")
    awake = await bus.subscribe([ORDERS], group="awake", consumer="c")
    with pytest.raises(BackPressureTimeout, match=r"stream orders\.v1: group 'asleep' is \d+ entries behind"):
        await publish_singly(bus, range(1000), reader=awake)
    await bus.publish(numbered(SIGNALS, range(1)))


async def test_a_stream_that_no_group_reads_is_trimmed_to_its_bound(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    for start in range(0, 2000, 100):
        await bus.publish(numbered(ORDERS, range(start, start + 100)))
    kept = bodies(await bus.tail(ORDERS, count=2000))
    assert kept[-400:] == list(range(1600, 2000))
    assert len(kept) <= 600, "Redis trims by whole nodes of 100 entries"


async def test_nothing_of_a_publish_that_waits_is_seen(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.1)
    subscription = await bus.subscribe([ORDERS], group="g", consumer="c")
    await bus.publish(numbered(ORDERS, range(300)))
    with pytest.raises(BackPressureTimeout):
        await bus.publish([*numbered(SIGNALS, range(1)), *numbered(ORDERS, range(300, 400))])
    assert await bus.tail(SIGNALS, count=1) == []
    assert await subscription.lag() == {ORDERS: 300}


async def test_a_publish_that_can_never_fit_is_refused(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND)
    with pytest.raises(ValueError, match="one publish of 301 entries does not fit a stream of 400"):
        await bus.publish(numbered(ORDERS, range(301)))
