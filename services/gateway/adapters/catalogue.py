"""What a session may name: the registered instruments and the logins this machine can find.

In memory the feed in force is table "feeds", shard 0 to its spec.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import Any

from services.gateway.adapters.logins import StoredLogins
from services.gateway.domain.start import StartCatalogue
from tradebus.store.book import Book
from tradebus.store.books import instruments_book
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("services.gateway.sql", "catalogue")


def catalogue_from(book: Book, logins: StoredLogins) -> Callable[[], Awaitable[StartCatalogue]]:
    """Loads it afresh for every START: instruments are registered while the gateway runs, and starts are rare."""

    master = instruments_book(book)

    async def load() -> StartCatalogue:
        instruments = await master.load()
        feed, day = await _feed_in_force(book)
        return StartCatalogue(
            instruments=instruments, reach=await asyncio.to_thread(logins.reach, feed),
            market_day=day,
        )  # fmt: skip

    return load


async def _feed_in_force(book: Book) -> tuple[str | None, date | None]:
    """A broker's name, "generated" or "history", and the day that its market is at; None each where there is none."""
    if isinstance(book, MemoryBook):
        book.database.check()
        spec: Mapping[str, Any] = book.database.table("feeds").get(0, {})
        day = spec.get("day") or spec.get("from")
        return spec.get("broker" if spec.get("feed") == "live" else "feed"), date.fromisoformat(day) if day else None
    assert isinstance(book, Store), f"no feeds in a {type(book).__name__}"
    row = await book.pool.fetchrow(_SQL["feed_in_force"])
    return (row["feed"], row["day"]) if row is not None else (None, None)
