"""`paper_book`: every test that asks for one runs on the book in memory and in Postgres."""

from collections.abc import AsyncIterator

import pytest
from testkit.waiting import WALL_TIMERS

from tradebus.brokers.paper.memory import MemoryPaperBook
from tradebus.brokers.paper.port import PaperBook
from tradebus.brokers.paper.postgres import PostgresPaperBook
from tradebus.store.migrate import drop_namespace, migrate
from tradebus.store.store import Store


@pytest.fixture(params=["memory", "postgres"])
async def paper_book(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[PaperBook]:
    if request.param == "memory":
        yield MemoryPaperBook()
        return
    database_url = request.getfixturevalue("database_url")
    migrate(database_url, namespace=namespace)
    store = await Store.connect(database_url, namespace=namespace, producer="test-1", timers=WALL_TIMERS)
    yield PostgresPaperBook(store.pool)
    await store.close()
    drop_namespace(database_url, namespace=namespace)
