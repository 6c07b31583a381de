"""`harness` and `any_bus`: every test that asks for one runs on the bus in memory and on Redis."""

from collections.abc import AsyncIterator

import pytest
from testkit.bus import Harness, MemoryHarness, RedisHarness

from tradebus.bus.port import Bus


@pytest.fixture(params=["memory", "redis"])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
    made: Harness
    made = MemoryHarness() if request.param == "memory" else RedisHarness(request.getfixturevalue("redis_url"))
    yield made
    await made.close()


@pytest.fixture
async def any_bus(harness: Harness) -> Bus:
    return await harness.bus()
