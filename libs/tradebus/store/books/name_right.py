"""The right to a name: one process has it, for as long as its connection lives.

Invariants (tested on both books): two never have it at once; whoever dies, or loses its connection, lets go, and is
told before it does anything more.
"""

from typing import Protocol

import asyncpg

from tradebus.kernel.errors import Unavailable
from tradebus.kernel.ids import lock_key
from tradebus.store.book import Book
from tradebus.store.memory_book import MemoryBook, MemoryConnection
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("tradebus.store.books", "name_right")


class NameRight(Protocol):
    async def try_take(self) -> bool:
        """Whether this process has it now. Raises Unavailable where the connection that held it is gone: it is to be
        released first."""

    def require_taken(self) -> None:
        """Raises Unavailable where the connection that holds the right is gone: another may have it by now."""

    async def release(self) -> None:
        """Lets another process have it."""


def name_right(book: Book, name: str, *, namespace: str, lost: str) -> NameRight:
    """The right to `name` in a namespace, in the book's own kind. `lost` says, after "… closed the connection that",
    what the right is for and what to do."""
    if isinstance(book, MemoryBook):
        return MemoryNameRight(book, name, lost=lost)
    assert isinstance(book, Store), f"no rights on a {type(book).__name__}"
    # Advisory locks belong to the database, not to a schema: the namespace is part of the key.
    return PostgresNameRight(book, f"{name} {namespace}", lost=lost)


class PostgresNameRight:
    """See `NameRight`."""

    def __init__(self, store: Store, name: str, *, lost: str) -> None:
        self._store, self._key, self._lost = store, lock_key(name), lost
        self._holder: asyncpg.Connection | None = None

    async def try_take(self) -> bool:
        if self._holder is None:
            self._holder = await self._store.pool.acquire()
        self.require_taken()
        return bool(await self._holder.fetchval(_SQL["take"], self._key))

    def require_taken(self) -> None:
        if self._holder is None or _is_lost(self._holder):
            raise Unavailable(f"Postgres closed the connection that {self._lost}")

    async def release(self) -> None:
        if self._holder is not None:
            holder, self._holder = self._holder, None
            try:
                if not _is_lost(holder):
                    await holder.execute(_SQL["leave"], self._key)
            finally:
                await self._store.pool.release(holder)


class MemoryNameRight:
    """See `NameRight`."""

    def __init__(self, book: MemoryBook, name: str, *, lost: str) -> None:
        self._book, self._name, self._lost = book, ("right", name), lost
        self._holder: MemoryConnection | None = None

    async def try_take(self) -> bool:
        if self._holder is None:
            self._holder = await self._book.connect()
        self.require_taken()
        return self._book.database.hold(self._name, self._holder)

    def require_taken(self) -> None:
        if self._holder is None or self._holder.is_closed:
            raise Unavailable(f"the book closed the connection that {self._lost}")

    async def release(self) -> None:
        if self._holder is not None:
            holder, self._holder = self._holder, None
            self._book.database.give_up(self._name, holder)


def _is_lost(connection: asyncpg.Connection) -> bool:
    """The pool takes a connection back that the server has closed, and then nothing can be asked of it."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True
