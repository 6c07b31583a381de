"""`hands`: every test runs on risk's book in memory and on Postgres."""

from collections.abc import AsyncIterator

import pytest
from testkit.risk_books import MemoryHands, PostgresHands, RiskHands
from testkit.waiting import WALL_TIMERS

from tradebus.store.store import Store


@pytest.fixture(params=["memory", "postgres"])
async def hands(request: pytest.FixtureRequest) -> AsyncIterator[RiskHands]:
    if request.param == "memory":
        yield MemoryHands()
        return
    url, namespace = (request.getfixturevalue(name) for name in ("database_url", "migrated"))
    store = await Store.connect(url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    yield PostgresHands(store, database_url=url, namespace=namespace)
    await store.close()
