"""Both books behind one harness: the one in memory and Postgres."""

from typing import Protocol

from tradebus.store.book import Book
from tradebus.store.memory_book import EVENTS, INBOX, OUTBOX, MemoryBook, MemoryDatabase
from tradebus.store.store import Store


class BookHarness(Protocol):
    """Books on one database, which nothing else uses."""

    async def book(self, producer: str = "test-1") -> Book:
        """A new process's door to it; one of the same producer is that process's next life."""
        ...

    async def counts(self) -> tuple[int, int, int]:
        """Rows of inbox, outbox and events."""
        ...

    async def close(self) -> None: ...


class MemoryBooks:
    def __init__(self) -> None:
        self.database = MemoryDatabase()

    async def book(self, producer: str = "test-1") -> MemoryBook:
        return MemoryBook(self.database, producer=producer)

    async def counts(self) -> tuple[int, int, int]:
        inbox, outbox, events = (len(self.database.table(name)) for name in (INBOX, OUTBOX, EVENTS))
        return inbox, outbox, events

    async def close(self) -> None:
        return


class PostgresBooks:
    """`namespace` is migrated."""

    def __init__(self, database_url: str, namespace: str) -> None:
        self._database_url, self._namespace = database_url, namespace
        self._stores: list[Store] = []
        self._looks: Store | None = None

    async def book(self, producer: str = "test-1") -> Store:
        store = await Store.connect(self._database_url, namespace=self._namespace, producer=producer)
        self._stores.append(store)
        return store

    async def counts(self) -> tuple[int, int, int]:
        if self._looks is None:
            self._looks = await self.book("looks")
        row = await self._looks.pool.fetchrow(
            "SELECT (SELECT count(*) FROM inbox), (SELECT count(*) FROM outbox), (SELECT count(*) FROM events)"
        )
        inbox, outbox, events = row
        return inbox, outbox, events

    async def close(self) -> None:
        for store in self._stores:
            await store.close()
