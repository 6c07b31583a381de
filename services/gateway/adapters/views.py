"""The book as people look at it: read only, rows as mappings, on Postgres; the twin is in `memory_views`.

Invariant (tested on both books, with what the other services' own books wrote): the same rows in the same order.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from services.gateway.adapters.memory_views import MemoryViews
from tradebus.store.book import Book
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "views")
Rows = Sequence[Mapping[str, Any]]


class BookViews(Protocol):
    """Names, units and order as `sql/views.sql` gives them. A filter that is None leaves nothing out."""

    async def rows(self, view: str, *, session_id: str | None, user_id: str | None, limit: int) -> Rows:
        """Of `sessions`, `trades`, `orders`, `signals`, `decisions`, `risk`, `performance`, `limits`, `shared_limits`,
        `headroom` or `approvals`; the newest first. Of `order_budgets` and `accounts`, by account."""

    async def portfolio(self, *, session_id: str | None, user_id: str | None, limit: int) -> Rows:
        """The sessions that are alive, or the one asked for: capital and what is realised."""

    async def positions(self, session_ids: Sequence[str]) -> Rows:
        """What these sessions hold, marked at the last closed candle."""

    async def version(self) -> str:
        """Of the server that answers."""


def views_of(book: Book) -> BookViews:
    """The views of a book in its own kind."""
    if isinstance(book, MemoryBook):
        return MemoryViews(book)
    assert isinstance(book, Store), f"no views of a {type(book).__name__}"
    return PostgresViews(book)


class PostgresViews:
    """See `BookViews`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def rows(self, view: str, *, session_id: str | None, user_id: str | None, limit: int) -> Rows:
        return [dict(row) for row in await self._store.pool.fetch(_SQL[view], session_id, user_id, limit)]

    async def portfolio(self, *, session_id: str | None, user_id: str | None, limit: int) -> Rows:
        return await self.rows("portfolio", session_id=session_id, user_id=user_id, limit=limit)

    async def positions(self, session_ids: Sequence[str]) -> Rows:
        return [dict(row) for row in await self._store.pool.fetch(_SQL["positions"], list(session_ids))]

    async def version(self) -> str:
        return str(await self._store.pool.fetchval(_SQL["version"]))
