"""Option chains as a broker last gave them: one for each index and expiry. On Postgres and in memory.

market_data alone writes them; strategies and the HTTP API read.

Invariants (tested on both): of an index and expiry the chain that was put last stands; strikes are read as JSON has
them, the instant to the microsecond.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Protocol

import asyncpg

from tradebus.kernel.time import NANOSECONDS_PER_SECOND, datetime_to_ns, ist_date
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("tradebus.store.books", "chains")
_TABLE = "option_chains"


@dataclass(frozen=True, slots=True)
class StoredChain:
    """`strikes` are JSON, as `tradebus.strategies.market_views.chain_of` reads them; `seen_ns` is the market's time."""

    index: str
    expiry: date
    strikes: Any
    seen_ns: int


class ChainsBook(Protocol):
    async def put(self, chain: StoredChain) -> None:
        """Keeps it in place of the one of its index and expiry."""

    async def of_expiry(self, index: str, expiry: date) -> StoredChain | None: ...

    async def nearest(self, index: str) -> StoredChain | None:
        """Of the nearest expiry that had not passed when a chain of the index was last seen; of the nearest of all
        where they had."""

    async def newest(self, indices: Iterable[str]) -> Mapping[str, StoredChain]:
        """Of each index that has one the chain that was seen last; of those seen together, the nearest expiry's."""


class PostgresChains:
    """See `ChainsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, chain: StoredChain) -> None:
        seconds, rest_ns = divmod(chain.seen_ns, NANOSECONDS_PER_SECOND)
        seen = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // 1000)
        await self._store.pool.execute(_SQL["put"], chain.index, chain.expiry, chain.strikes, seen)

    async def of_expiry(self, index: str, expiry: date) -> StoredChain | None:
        return _chain(await self._store.pool.fetchrow(_SQL["of_expiry"], index, expiry))

    async def nearest(self, index: str) -> StoredChain | None:
        return _chain(await self._store.pool.fetchrow(_SQL["nearest"], index))

    async def newest(self, indices: Iterable[str]) -> Mapping[str, StoredChain]:
        rows = await self._store.pool.fetch(_SQL["newest"], sorted(indices))
        return {chain.index: chain for chain in map(_chain, rows) if chain is not None}


class MemoryChains:
    """See `ChainsBook`. Table "option_chains": index and expiry to the strikes as JSON text and the instant."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def put(self, chain: StoredChain) -> None:
        async with self._book.begin() as transaction:
            row = json.dumps(chain.strikes), chain.seen_ns // 1000 * 1000
            transaction.table(_TABLE)[chain.index, chain.expiry] = row

    async def of_expiry(self, index: str, expiry: date) -> StoredChain | None:
        return next((one for one in self._of(index) if one.expiry == expiry), None)

    async def nearest(self, index: str) -> StoredChain | None:
        chains = self._of(index)
        today = ist_date(max((one.seen_ns for one in chains), default=0))
        return min(chains, key=lambda one: (one.expiry < today, one.expiry), default=None)

    async def newest(self, indices: Iterable[str]) -> Mapping[str, StoredChain]:
        each = {index: self._of(index) for index in indices}
        return {
            index: min(chains, key=lambda one: (-one.seen_ns, one.expiry)) for index, chains in each.items() if chains
        }

    def _of(self, index: str) -> list[StoredChain]:
        self._book.database.check()
        return [
            StoredChain(index, expiry, json.loads(strikes), seen_ns)
            for (own, expiry), (strikes, seen_ns) in self._book.database.table(_TABLE).items()
            if own == index
        ]


def _chain(row: asyncpg.Record | None) -> StoredChain | None:
    if row is None:
        return None
    return StoredChain(row["idx"], row["expiry"], row["payload"], datetime_to_ns(row["updated_at"]))
