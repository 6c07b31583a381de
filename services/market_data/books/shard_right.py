"""The right to fill one shard of the market-data streams: one process has it, for as long as its connection lives.

Invariants (tested on both books): two never have it at once; whoever dies, or loses its connection, lets go, and is
told before it does anything more.
"""

import asyncio
from typing import Protocol

import asyncpg
import structlog

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.ids import lock_key
from tradebus.kernel.timers import Timers
from tradebus.store.memory_book import MemoryBook, MemoryConnection
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.waiting.timers import sleep

_SQL = load_queries("services.market_data.books", "shards")
_STAND_BY_SECONDS = 1.0
_log = structlog.get_logger()


class ShardRight(Protocol):
    async def try_take(self) -> bool:
        """Whether this process is now the shard's only producer."""

    def require_taken(self) -> None:
        """Raises Unavailable where the connection that holds the right is gone: another may be writing by now."""

    async def release(self) -> None:
        """Lets another producer take over."""


class PostgresShardRight:
    """See `ShardRight`."""

    def __init__(self, store: Store, *, namespace: str, shard: int = 0) -> None:
        self._store = store
        # Advisory locks belong to the database, not to a schema: the namespace is part of the key.
        self._key = lock_key(f"market_data feed {namespace} {shard}")
        self._holder: asyncpg.Connection | None = None

    async def try_take(self) -> bool:
        if self._holder is None:
            self._holder = await self._store.pool.acquire()
        if _is_lost(self._holder):
            raise _gone("Postgres")
        return bool(await self._holder.fetchval(_SQL["take_shard"], self._key))

    def require_taken(self) -> None:
        if self._holder is None or _is_lost(self._holder):
            raise _gone("Postgres")

    async def release(self) -> None:
        if self._holder is not None:
            holder, self._holder = self._holder, None
            try:
                if not _is_lost(holder):
                    await holder.execute(_SQL["leave_shard"], self._key)
            finally:
                await self._store.pool.release(holder)


class MemoryShardRight:
    """See `ShardRight`."""

    def __init__(self, book: MemoryBook, *, shard: int = 0) -> None:
        self._book, self._name = book, ("market_data feed", shard)
        self._holder: MemoryConnection | None = None

    async def try_take(self) -> bool:
        if self._holder is None:
            self._holder = await self._book.connect()
        if self._holder.is_closed:
            raise _gone("the book")
        return self._book.database.hold(self._name, self._holder)

    def require_taken(self) -> None:
        if self._holder is None or self._holder.is_closed:
            raise _gone("the book")

    async def release(self) -> None:
        if self._holder is not None:
            holder, self._holder = self._holder, None
            self._book.database.give_up(self._name, holder)


async def take_shard(right: ShardRight, stop: asyncio.Event, *, timers: Timers) -> bool:
    """Waits until this process is the shard's only producer; False where `stop` was set instead."""
    waited = False
    while not stop.is_set():
        if await right.try_take():
            return True
        if not waited:
            _log.warning("another market_data feeds these streams: standing by")
        waited = True
        await sleep(timers, _STAND_BY_SECONDS, unless=stop)
    return False


def _is_lost(connection: asyncpg.Connection) -> bool:
    """The pool takes a connection back that the server has closed, and then nothing can be asked of it."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def _gone(who: str) -> Unavailable:
    return Unavailable(f"{who} closed the connection that makes this the only feed; start market_data again")
