"""`hands`: every test runs on execution's book in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest
from testkit.execution_books import ExecutionHands, MemoryHands, PostgresHands
from testkit.waiting import WALL_TIMERS

from tradebus.store.store import Store


@pytest.fixture(params=["memory", "postgres"])
async def hands(request: pytest.FixtureRequest) -> AsyncIterator[ExecutionHands]:
    if request.param == "memory":
        yield MemoryHands()
        return
    url, namespace = (request.getfixturevalue(name) for name in ("database_url", "migrated"))
    store = await Store.connect(url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    yield PostgresHands(store, database_url=url, namespace=namespace)
    await store.close()
