"""The feed's row in Postgres: whose content the streams hold, how far it has got, and who may write."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.ids import lock_key
from tradebus.kernel.timers import Timers
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.waiting.timers import sleep

_SQL = load_queries("services.market_data.feeds", "feeds")
_STAND_BY_SECONDS = 1.0
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FeedRow:
    identity: str
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


class FeedStore:
    """Row and lock of one shard of the market-data streams."""

    def __init__(self, store: Store, *, namespace: str, shard: int = 0) -> None:
        self._store = store
        self._shard = shard
        # Advisory locks belong to the database, not to a schema: the namespace is part of the key.
        self._key = lock_key(f"market_data feed {namespace} {shard}")
        self._holder: asyncpg.Connection | None = None

    async def try_take(self) -> bool:
        """Whether this process is now the shard's only producer."""
        if self._holder is None:
            self._holder = await self._store.pool.acquire()
        return bool(await self._holder.fetchval(_SQL["take_shard"], self._key))

    def require_taken(self) -> None:
        """Raises Unavailable where the connection that holds the right is gone: another may be writing by now."""
        if self._holder is None or self._holder.is_closed():
            raise Unavailable("Postgres closed the connection that makes this the only feed; start market_data again")

    async def release(self) -> None:
        """Lets another producer take over."""
        if self._holder is not None:
            holder, self._holder = self._holder, None
            try:
                if not holder.is_closed():
                    await holder.execute(_SQL["leave_shard"], self._key)
            finally:
                await self._store.pool.release(holder)

    async def read(self) -> FeedRow | None:
        row = await self._store.pool.fetchrow(_SQL["read_feed"], self._shard)
        return FeedRow(row["identity"], row["spec"], row["status"]) if row else None

    async def begin(self, row: FeedRow) -> None:
        """Says whose content the shard holds from here on."""
        await self._store.pool.execute(_SQL["put_feed"], self._shard, row.identity, dict(row.spec), dict(row.status))

    async def progress(self, status: Mapping[str, Any]) -> None:
        await self._store.pool.execute(_SQL["put_status"], self._shard, dict(status))

    async def session_runs(self) -> bool:
        """Whether any trading session has been taken up and not ended."""
        return bool(await self._store.pool.fetchval(_SQL["a_session_runs"]))


async def take_shard(feed_store: FeedStore, stop: asyncio.Event, *, timers: Timers) -> bool:
    """Waits until this process is the shard's only producer; False where `stop` was set instead."""
    waited = False
    while not stop.is_set():
        if await feed_store.try_take():
            return True
        if not waited:
            _log.warning("another market_data feeds these streams: standing by")
        waited = True
        await sleep(timers, _STAND_BY_SECONDS, unless=stop)
    return False
