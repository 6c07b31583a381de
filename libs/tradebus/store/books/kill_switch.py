"""The kill switch: one row and one file. Engaged by whoever comes first, released by a person.

`KillSwitchBook` is the row, `KILL_FILE` the name of the file in the state folder: it works with the database gone, and
outlives restarts.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

KILL_FILE = ".killswitch"
REASON_MAX = 200
_SQL = load_queries("tradebus.store.books", "kill_switch")
_ROW, _LOCK = "row", "kill switch"


@dataclass(frozen=True, slots=True)
class Switch:
    """How the switch stands, since when, and why. `changed_ns` names the engagement."""

    engaged: bool
    reason: str
    changed_ns: int


class KillSwitchBook(Protocol):
    """The row. What takes a transaction is part of it, and one of a kind waits for the other."""

    async def read(self, transaction: Any = None) -> Switch | None:
        """How it stands; None where nobody ever touched it. Outside of any transaction where none is given."""

    async def engage(
        self, transaction: Any, *, reason: str, at_ns: int, unless_released_since_ns: int | None = None
    ) -> Switch:
        """Engages it, and says how it stands then. Where it is engaged already the first reason and time stand.

        With `unless_released_since_ns` a switch that a person released at or after that instant stays released: for
        whoever reads an old command late.
        """

    async def release(self, transaction: Any, *, reason: str, at_ns: int) -> bool:
        """Lets entries through again; False where it was not engaged."""


def reason_in(path: Path) -> str | None:
    """Why the file engages the switch; None where there is none. What cannot be read engages it all the same."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name must hold up nobody
        try:
            lines = os.read(descriptor, 4 * REASON_MAX).decode("utf-8", "replace").splitlines()
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"file {path.name} is there and cannot be read ({error.strerror})"
    first = "".join(letter for letter in (lines[0] if lines else "") if letter.isprintable()).strip()
    return first[:REASON_MAX] or f"file {path.name}"


class PostgresKillSwitch:
    """See `KillSwitchBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, transaction: Any = None) -> Switch | None:
        source = self._store.pool if transaction is None else transaction.connection
        row = await source.fetchrow(_SQL["read"])
        return None if row is None else Switch(row["engaged"], row["reason"], row["changed_ns"])

    async def engage(
        self, transaction: Any, *, reason: str, at_ns: int, unless_released_since_ns: int | None = None
    ) -> Switch:
        await transaction.lock(_LOCK)
        await transaction.connection.execute(_SQL["engage"], reason, at_ns, unless_released_since_ns)
        switch = await self.read(transaction)
        assert switch is not None
        return switch

    async def release(self, transaction: Any, *, reason: str, at_ns: int) -> bool:
        await transaction.lock(_LOCK)
        return await transaction.connection.fetchval(_SQL["release"], reason, at_ns) is not None


class MemoryKillSwitch:
    """See `KillSwitchBook`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def read(self, transaction: Any = None) -> Switch | None:
        if transaction is None:
            self._book.database.check()
        table = self._book.database.table("kill_switch") if transaction is None else transaction.table("kill_switch")
        found: Switch | None = table.get(_ROW)
        return found

    async def engage(
        self, transaction: Any, *, reason: str, at_ns: int, unless_released_since_ns: int | None = None
    ) -> Switch:
        await transaction.lock(_LOCK)
        table = transaction.table("kill_switch")
        before: Switch | None = table.get(_ROW)
        since_ns = unless_released_since_ns
        if before is not None and since_ns is not None and before.changed_ns >= since_ns:
            return before  # engaged meanwhile, or released since
        if before is None or not before.engaged:
            table[_ROW] = Switch(engaged=True, reason=reason, changed_ns=at_ns)
        stands: Switch = table[_ROW]
        return stands

    async def release(self, transaction: Any, *, reason: str, at_ns: int) -> bool:
        await transaction.lock(_LOCK)
        table = transaction.table("kill_switch")
        before: Switch | None = table.get(_ROW)
        if before is None or not before.engaged:
            return False
        table[_ROW] = Switch(engaged=False, reason=reason, changed_ns=at_ns)
        return True
