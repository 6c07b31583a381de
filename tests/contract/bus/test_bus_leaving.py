"""Leaving a stream: a group that is gone holds nobody up. On both buses."""

import pytest
from testkit.bus import ORDERS, SIGNALS, Harness, bodies, numbered

from tradebus.bus.port import Bus
from tradebus.bus.pressure import BackPressureTimeout


async def test_publishers_no_longer_wait_for_a_group_that_left(harness: Harness) -> None:
    bus = await harness.bus(max_entries={ORDERS: 400}, back_pressure_seconds=0.1)
    await bus.subscribe([ORDERS], group="asleep", consumer="c")
    await bus.publish(numbered(ORDERS, range(300)))
    with pytest.raises(BackPressureTimeout):
        await bus.publish(numbered(ORDERS, range(300, 400)))
    await bus.leave([ORDERS], group="asleep")
    await bus.publish(numbered(ORDERS, range(1000, 1200)))
    assert bodies(await bus.tail(ORDERS, count=1)) == [1199]


async def test_a_group_that_left_begins_anew_and_the_others_notice_nothing(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(3)))
    leaving = await any_bus.subscribe([ORDERS], group="leaving", consumer="c")
    staying = await any_bus.subscribe([ORDERS], group="staying", consumer="c")
    await leaving.ack(await leaving.read(block_ms=5000))
    assert bodies(await staying.read(block_ms=5000)) == [0, 1, 2]
    await any_bus.leave([ORDERS], group="leaving")
    again = await any_bus.subscribe([ORDERS], group="leaving", consumer="c")
    assert bodies(await again.read(block_ms=5000)) == [0, 1, 2]
    assert await staying.lag() == {ORDERS: 3}


async def test_leaving_what_is_not_there_is_harmless(any_bus: Bus) -> None:
    await any_bus.publish(numbered(ORDERS, range(1)))
    await any_bus.leave([ORDERS, SIGNALS, "no.such.stream"], group="nobody")
    assert bodies(await any_bus.tail(ORDERS, count=1)) == [0]
