"""The risk service among real servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from testkit.risk_service import Around

from tradebus.bus.port import Bus
from tradebus.store.store import Store


@pytest.fixture
async def around(
    database_url: str, redis_url: str, migrated: str, bus: Bus, store: Store, tmp_path: Path
) -> AsyncIterator[Around]:
    around = Around.servers(
        store, bus, database_url=database_url, redis_url=redis_url, namespace=migrated, state_dir=tmp_path
    )
    await around.prepare()
    yield around
    for life in around.lives:
        await life.crash()
