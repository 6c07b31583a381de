"""Groups that nobody reads any more: publishers pass them over where Postgres has what they miss. On both buses."""

import logging

import pytest
from testkit.bus import ORDERS, SIGNALS, Harness, bodies, numbered

from tradebus.bus.port import Bus, Entry, Subscription
from tradebus.bus.pressure import BackPressureTimeout

INBOX = "trading.commands.v1"
BOUND = {ORDERS: 400, SIGNALS: 400, INBOX: 400}
SILENT_SECONDS = 0.2


async def publish(bus: Bus, stream: str, numbers: range, *, reader: Subscription | None = None) -> list[Entry]:
    """In twenties; what `reader` read meanwhile, and acknowledged."""
    found: list[Entry] = []
    for start in range(numbers.start, numbers.stop, 20):
        await bus.publish(numbered(stream, range(start, min(start + 20, numbers.stop))))
        if reader is not None:
            found += await read_all(reader)
    return found


async def read_all(subscription: Subscription) -> list[Entry]:
    found: list[Entry] = []
    while page := await subscription.read(block_ms=0):
        found += page
        await subscription.ack(page)
    return found


async def filled(harness: Harness, stream: str, *, group: str, paced: bool = False) -> Bus:
    """A stream that is full, with a group that has read once and stays silent from here on."""
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.02, silent_seconds=SILENT_SECONDS, paced=paced)
    dead = await bus.subscribe([stream], group=group, consumer="c")
    await publish(bus, stream, range(20))
    await dead.read(block_ms=5000, count=10)  # in hand when it died
    with pytest.raises(BackPressureTimeout):
        await publish(bus, stream, range(20, 400))
    await harness.let_idle(int(SILENT_SECONDS * 1000) + 50)
    return bus


async def test_a_group_that_is_silent_for_long_stops_no_publisher_and_is_told_what_it_missed(harness: Harness) -> None:
    bus = await filled(harness, ORDERS, group="execution-2")
    living = await bus.subscribe([ORDERS], group="living", consumer="c")
    await read_all(living)
    read = await publish(bus, ORDERS, range(1000, 3000), reader=living)
    assert bodies(read) == list(range(1000, 3000)), "who reads loses nothing"
    assert not any(entry.after_gap for entry in read)
    again = await bus.subscribe([ORDERS], group="execution-2", consumer="c")
    found = await read_all(again)
    assert [entry.after_gap for entry in found] == [True] + [False] * (len(found) - 1)
    assert bodies(found) == list(range(bodies(found)[0], 3000))
    assert await again.lag() == {ORDERS: 0}


async def test_a_group_that_is_only_slow_is_waited_for(harness: Harness) -> None:
    bus = await filled(harness, ORDERS, group="slow")
    slow = await bus.subscribe([ORDERS], group="slow", consumer="c")
    first = await slow.read(block_ms=5000, count=1)
    with pytest.raises(BackPressureTimeout):
        await publish(bus, ORDERS, range(1000, 3000))
    assert not first[0].after_gap
    assert not any(entry.after_gap for entry in await read_all(slow))


async def test_a_group_that_was_made_and_never_read_is_given_its_time_and_no_more(harness: Harness) -> None:
    bus = await harness.bus(max_entries=BOUND, back_pressure_seconds=0.02, silent_seconds=SILENT_SECONDS)
    await bus.subscribe([ORDERS], group="never", consumer="c")
    with pytest.raises(BackPressureTimeout, match="never"):
        await publish(bus, ORDERS, range(400))
    await harness.let_idle(int(SILENT_SECONDS * 1000) + 50)
    await publish(bus, ORDERS, range(400, 2000))


async def test_commands_from_outside_which_are_nowhere_else_wait_however_silent_the_gateway(harness: Harness) -> None:
    bus = await filled(harness, INBOX, group="gateway")
    with pytest.raises(BackPressureTimeout, match="gateway"):
        await publish(bus, INBOX, range(400, 1000))


@pytest.mark.parametrize("group", ["risk", "gateway"])
async def test_signals_are_kept_for_nobody_who_does_not_read(harness: Harness, group: str) -> None:
    bus = await filled(harness, SIGNALS, group=group)
    await publish(bus, SIGNALS, range(400, 1000))


async def test_in_a_paced_run_every_group_is_waited_for(harness: Harness) -> None:
    bus = await filled(harness, ORDERS, group="slow", paced=True)
    with pytest.raises(BackPressureTimeout, match="slow"):
        await publish(bus, ORDERS, range(400, 1000))


async def test_a_silent_group_is_spoken_of_when_the_stream_is_half_full_and_once(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    bus = await harness.bus(max_entries=BOUND, silent_seconds=SILENT_SECONDS)
    dead = await bus.subscribe([ORDERS], group="execution-2", consumer="c")
    await publish(bus, ORDERS, range(20))
    await dead.read(block_ms=5000)
    await harness.let_idle(int(SILENT_SECONDS * 1000) + 50)
    with caplog.at_level(logging.ERROR):
        await publish(bus, ORDERS, range(20, 160))
        assert not caplog.records, "not half full"
        await publish(bus, ORDERS, range(160, 1000))
    (told,) = caplog.records
    assert "orders.v1" in told.getMessage()
    assert "'execution-2' has not read" in told.getMessage()
    assert "tradebus streams retire execution-2" in told.getMessage()
