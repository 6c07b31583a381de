"""The twins that market data's bodies run on: bus and book in memory, and time that is driven."""

import pytest
from testkit.feeds import memory_book
from testkit.waiting import WALL_TIMERS

from tradebus.bus.memory.bus import MemoryBus
from tradebus.store.memory_book import MemoryBook


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(timers=WALL_TIMERS)


@pytest.fixture
def book() -> MemoryBook:
    return memory_book()
