"""`tradebus streams`: a retired reader holds nobody up once a person has said that it is gone."""

import pytest

from services.cli.grouping import groups_of, retire
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Outgoing
from tradebus.contracts.streams import COMMANDS, MD_TICKS
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import InvalidInput
from tradebus.waiting.timers import WallTimers

TICKS = MD_TICKS.shard(0)


async def bus_with_groups() -> tuple[MemoryBus, EventClock]:
    clock = EventClock(1)
    bus = MemoryBus(timers=WallTimers(clock), max_entries={COMMANDS.name: 8}, back_pressure_seconds=0.01)
    gone = await bus.subscribe([COMMANDS.name, TICKS], group="execution-2", consumer="2")
    await bus.subscribe([COMMANDS.name], group="risk", consumer="risk")
    for _ in range(6):
        await bus.publish([Outgoing(COMMANDS.name, "FLATTEN", b"{}")])
    await gone.read(block_ms=0)
    return bus, clock


async def test_the_groups_of_every_stream_are_listed() -> None:
    bus, _ = await bus_with_groups()
    found = await groups_of(bus)
    assert {stream: [one.name for one in groups] for stream, groups in found.items()} == {
        COMMANDS.name: ["execution-2", "risk"], TICKS: ["execution-2"],
    }  # fmt: skip


async def test_a_retired_group_leaves_every_stream_and_publishers_go_on() -> None:
    bus, clock = await bus_with_groups()
    clock.advance(61_000_000_000)
    assert await retire(bus, "execution-2", force=False) == {COMMANDS.name: 6, TICKS: 0}
    assert set(await groups_of(bus)) == {COMMANDS.name}
    await retire(bus, "risk", force=False)
    await bus.publish([Outgoing(COMMANDS.name, "FLATTEN", b"{}")])


async def test_who_has_read_a_moment_ago_is_retired_only_by_force() -> None:
    bus, _ = await bus_with_groups()
    with pytest.raises(InvalidInput, match="stop its service first"):
        await retire(bus, "execution-2", force=False)
    await retire(bus, "execution-2", force=True)


async def test_a_group_that_is_not_there_is_answered_with_the_nearest() -> None:
    bus, _ = await bus_with_groups()
    with pytest.raises(InvalidInput, match=r"did you mean 'execution-2'"):
        await retire(bus, "execution-3", force=False)
