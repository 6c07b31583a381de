"""A stage for the strategy service: its neighbours, on the test's own namespace."""

from collections.abc import AsyncIterator

import pytest
from testkit.strategy_service import Stage

from tradebus.bus.port import Bus
from tradebus.store.store import Store


@pytest.fixture
async def stage(database_url: str, namespace: str, bus: Bus, store: Store) -> AsyncIterator[Stage]:
    made = Stage.servers(database_url, namespace, bus, store)
    await made.prepare()
    yield made
    await made.close()
