"""The feed that fills the market-data streams: what it is, and how far it has got. On Postgres and in memory.

market_data alone writes it; the others read what it brings (strategy), and whose prices are in force (gateway).

Invariants (tested on both): what was written last is what is read, in the types that JSON has; progress is kept beside
what the feed is, and makes no feed of its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("tradebus.store.books", "feeds")
_TABLE = "feeds"


@dataclass(frozen=True, slots=True)
class FeedRow:
    """`identity` is a digest of all that decides the content; `spec` and `status` are JSON, for people too."""

    identity: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


class FeedsBook(Protocol):
    """A row for each shard of the market-data streams."""

    async def read(self, *, shard: int = 0) -> FeedRow | None:
        """None where no feed has begun."""

    async def begin(self, row: FeedRow, *, shard: int = 0) -> None:
        """Says whose content the shard holds from here on."""

    async def progress(self, status: Mapping[str, Any], *, shard: int = 0) -> None:
        """How far the feed has got; says nothing where none has begun."""


class PostgresFeeds:
    """See `FeedsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, *, shard: int = 0) -> FeedRow | None:
        row = await self._store.pool.fetchrow(_SQL["read"], shard)
        return FeedRow(row["identity"], row["spec"], row["status"]) if row else None

    async def begin(self, row: FeedRow, *, shard: int = 0) -> None:
        await self._store.pool.execute(_SQL["begin"], shard, row.identity, dict(row.spec), dict(row.status))

    async def progress(self, status: Mapping[str, Any], *, shard: int = 0) -> None:
        await self._store.pool.execute(_SQL["progress"], shard, dict(status))


class MemoryFeeds:
    """See `FeedsBook`. Table "feeds": shard to identity, spec and status, the last two as JSON text."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def read(self, *, shard: int = 0) -> FeedRow | None:
        self._book.database.check()
        row = self._book.database.table(_TABLE).get(shard)
        return None if row is None else FeedRow(row[0], json.loads(row[1]), json.loads(row[2]))

    async def begin(self, row: FeedRow, *, shard: int = 0) -> None:
        async with self._book.begin() as transaction:
            transaction.table(_TABLE)[shard] = row.identity, json.dumps(dict(row.spec)), json.dumps(dict(row.status))

    async def progress(self, status: Mapping[str, Any], *, shard: int = 0) -> None:
        async with self._book.begin() as transaction:
            await transaction.lock(f"feed {shard}")
            table = transaction.table(_TABLE)
            if shard in table:
                identity, spec, _ = table[shard]
                table[shard] = identity, spec, json.dumps(dict(status))
