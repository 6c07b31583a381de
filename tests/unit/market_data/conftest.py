"""The twins that market data's bodies run on: bus and book in memory, and time that is driven."""

import pytest
from testkit.feeds import memory_book

from tradebus.bus.memory.bus import MemoryBus
from tradebus.store.memory_book import MemoryBook


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def book() -> MemoryBook:
    return memory_book()
