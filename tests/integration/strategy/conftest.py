"""A stage for the strategy service: its neighbours, on the test's own namespace."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tradebus.bus.port import Bus
from tradebus.store.store import Store

sys.path.insert(0, str(Path(__file__).parent))

from strategy_harness import Stage


@pytest.fixture
async def stage(database_url: str, namespace: str, bus: Bus, store: Store) -> AsyncIterator[Stage]:
    made = Stage(database_url, namespace, bus, store)
    await made.prepare()
    yield made
    await made.close()
