"""One connection kept out of the pool, for statements that are whole transactions on the way of an order.

Taking a connection from the pool and giving it back costs as much as a small statement does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from tradebus.kernel.timers import Timers
from tradebus.store.connect import retrying


class StandingConnection:
    """Takes its connection from `pool` at the first use, and another one where that one was lost."""

    def __init__(self, pool: asyncpg.Pool, *, database_url: str, retry_seconds: float, timers: Timers) -> None:
        self._pool, self._database_url = pool, database_url
        self._retry_seconds, self._timers = retry_seconds, timers
        self._connection: asyncpg.Connection | None = None
        self._turn = asyncio.Lock()

    async def fetchrow(self, statement: str, *arguments: object) -> asyncpg.Record | None:
        """Runs one statement as a transaction of its own; those of several callers run one after the other.

        Raises what Postgres raises, and Unavailable where no connection can be had.
        """
        row: asyncpg.Record | None = await self._run(lambda connection: connection.fetchrow(statement, *arguments))
        return row

    async def fetch_each(self, statement: str, rows: Sequence[Sequence[object]]) -> list[asyncpg.Record]:
        """Runs the statement once for each row of arguments, all in one transaction and one round trip; the rows that
        came back, in order. Raises as `fetchrow`, and then none of them was."""
        if len(rows) == 1:
            row = await self.fetchrow(statement, *rows[0])
            return [] if row is None else [row]
        found: list[asyncpg.Record] = await self._run(lambda connection: connection.fetchmany(statement, rows))
        return found

    async def _run(self, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        async with self._turn:
            connection = self._connection
            if connection is None or _is_gone(connection):
                connection = await self._take()
            try:
                return await work(connection)
            except BaseException:
                # Back to the pool, which waits until a statement given up has ended in Postgres too: whoever reads the
                # book next must not do so while it is still being written.
                await self._give_back()
                raise

    async def close(self) -> None:
        """Gives the connection back, once the statement under way has ended."""
        async with self._turn:
            await self._give_back()

    async def _take(self) -> asyncpg.Connection:
        await self._give_back()
        self._connection = await retrying(
            self._pool.acquire,
            database_url=self._database_url,
            retry_seconds=self._retry_seconds,
            timers=self._timers,
        )
        return self._connection

    async def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._pool.release(connection)


def _is_gone(connection: asyncpg.Connection) -> bool:
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:  # the pool took it back when it was lost
        return True
