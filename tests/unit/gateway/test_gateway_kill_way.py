"""KILL's way past everything that waits: full streams, a book that is away, a bus that is away."""

import json

import pytest
from testkit.waiting import WALL_TIMERS

from services.gateway.killswitch import KillWay, announce
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import Outgoing
from tradebus.bus.pressure import BackPressureTimeout
from tradebus.contracts.streams import COMMANDS
from tradebus.kernel.clock import EventClock
from tradebus.kernel.errors import Unavailable
from tradebus.store.books import kill_switch_book
from tradebus.store.books.kill_switch import FurtherReason, Switch
from tradebus.store.memory_book import MemoryBook, MemoryDatabase
from tradebus.store.outbox import Outbox


class Desk:
    def __init__(self, bus: MemoryBus | None = None) -> None:
        self.bus, self.database, self.clock = bus or MemoryBus(timers=WALL_TIMERS), MemoryDatabase(), EventClock(5)
        self.book = MemoryBook(self.database, producer="gateway-1")
        self.switch = kill_switch_book(self.book)
        self.outbox = Outbox(self.book, self.bus, timers=WALL_TIMERS)
        self.way = KillWay(bus=self.bus, book=self.book, outbox=self.outbox, switch=self.switch, clock=self.clock)

    async def told(self) -> list[str]:
        """Ids of the KILLs on the services' stream."""
        entries = await self.bus.tail(COMMANDS.name, count=1000)
        return [json.loads(entry.body)["event_id"] for entry in entries if entry.kind == "KILL"]


async def test_both_ways_carry_one_id_so_that_services_handle_it_once() -> None:
    desk = Desk()
    assert await desk.way.kill("enough")
    first, second = await desk.told()
    assert first == second
    assert await desk.switch.read() == Switch(engaged=True, reason="enough", changed_ns=5)


async def test_a_stream_that_is_full_of_what_nobody_reads_does_not_hold_it_up() -> None:
    desk = Desk(MemoryBus(max_entries={COMMANDS.name: 8}, back_pressure_seconds=0.01, timers=WALL_TIMERS))
    await desk.bus.subscribe([COMMANDS.name], group="execution-2", consumer="retired")
    for _ in range(6):  # three quarters
        await desk.bus.publish([Outgoing(COMMANDS.name, "FLATTEN", b"{}")])
    with pytest.raises(BackPressureTimeout):  # what the outbox says comes when there is room
        await desk.way.kill("enough")
    assert len(await desk.told()) == 1
    assert (await desk.switch.read()) is not None


async def test_with_the_book_away_the_services_are_told_and_the_sender_hears_that_it_does_not_last() -> None:
    desk = Desk()
    desk.database.go_away()
    with pytest.raises(Unavailable):
        await desk.way.kill("enough")
    assert len(await desk.told()) == 1
    desk.database.come_back()
    desk.clock.advance(9)
    assert await desk.way.kill("enough"), "sent again it lasts"


async def test_with_the_bus_away_the_row_stands_and_is_told_when_it_is_back() -> None:
    desk = Desk()
    await desk.bus.close()
    with pytest.raises(Unavailable):
        await desk.way.kill("enough")
    assert (await desk.switch.read()) is not None
    back = MemoryBus(timers=WALL_TIMERS)
    await Outbox(desk.book, back, timers=WALL_TIMERS).flush()
    assert [entry.kind for entry in await back.tail(COMMANDS.name, count=9)] == ["KILL"]


async def test_pressed_again_it_is_told_again_and_engages_nothing_anew() -> None:
    desk = Desk()
    await desk.way.kill("enough")
    desk.clock.advance(9)
    assert not await desk.way.kill("once more")
    assert len(set(await desk.told())) == 2
    further = (FurtherReason("once more", desk.clock.now_ns()),)
    assert await desk.switch.read() == Switch(engaged=True, reason="enough", changed_ns=5, further=further)
    async with desk.book.begin() as transaction:
        assert not await announce(desk.switch, transaction)
