"""The kill switch: one row and one file. Engaged by whoever comes first, released by a person.

`KillSwitchBook` is the row, `KILL_FILE` the name of the file in the state folder: it works with the database gone, and
outlives restarts.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

KILL_FILE = ".killswitch"
REASON_MAX = 200
_SQL = load_queries("tradebus.store.books", "kill_switch")
_ROW, _LOCK = "row", "kill switch"
_FILE_LINES_MAX = 20
_FURTHER_MAX = 50  # reasons beside the first


@dataclass(frozen=True, slots=True)
class FurtherReason:
    """Why somebody killed while the switch was engaged already."""

    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Switch:
    """How the switch stands, since when, and why. `changed_ns` names the engagement. `further` is what was said since
    by whoever killed again, each reason once, the oldest first."""

    engaged: bool
    reason: str
    changed_ns: int
    further: tuple[FurtherReason, ...] = ()


class KillSwitchBook(Protocol):
    """The row. What takes a transaction is part of it, and one of a kind waits for the other."""

    async def read(self, transaction: Any = None) -> Switch | None:
        """How it stands; None where nobody ever touched it. Outside of any transaction where none is given."""

    async def engage(
        self, transaction: Any, *, reason: str, at_ns: int, unless_released_since_ns: int | None = None
    ) -> Switch:
        """Engages it, and says how it stands then. Where it is engaged already the first reason and time stand, and
        another reason is kept beside them.

        With `unless_released_since_ns` a switch that a person released at or after that instant stays released, and one
        engaged since gains no reason: for whoever reads an old command late.
        """

    async def release(self, transaction: Any, *, reason: str, at_ns: int) -> bool:
        """Lets entries through again; False where it was not engaged."""


def reason_in(path: Path) -> str | None:
    """Why the file engages the switch; None where there is none. What cannot be read engages it all the same."""
    found = reasons_in(path)
    return found[0] if found else None


def reasons_in(path: Path) -> tuple[str, ...]:
    """The file's reason, and those of whoever killed again, a line each; () where there is no file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe of that name must hold up nobody
        try:
            text = os.read(descriptor, 4 * REASON_MAX * _FILE_LINES_MAX).decode("utf-8", "replace")
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as error:
        return (f"file {path.name} is there and cannot be read ({error.strerror})",)
    first, *others = (_reason_of(line) for line in text.splitlines()[:_FILE_LINES_MAX] or [""])
    return (first or f"file {path.name}", *(one for one in dict.fromkeys(others) if one and one != first))


def _reason_of(line: str) -> str:
    return "".join(letter for letter in line if letter.isprintable()).strip()[:REASON_MAX]


class PostgresKillSwitch:
    """See `KillSwitchBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, transaction: Any = None) -> Switch | None:
        source = self._store.pool if transaction is None else transaction.connection
        row = await source.fetchrow(_SQL["read"])
        if row is None:
            return None
        further = tuple(FurtherReason(**one) for one in json.loads(row["further"]))
        return Switch(row["engaged"], row["reason"], row["changed_ns"], further)

    async def engage(
        self, transaction: Any, *, reason: str, at_ns: int, unless_released_since_ns: int | None = None
    ) -> Switch:
        await transaction.lock(_LOCK)
        await transaction.connection.execute(
            _SQL["engage"], reason.strip(), at_ns, unless_released_since_ns, _FURTHER_MAX
        )  # fmt: skip
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
        reason = reason.strip()
        if before is None or not before.engaged:
            table[_ROW] = Switch(engaged=True, reason=reason, changed_ns=at_ns)
        elif reason not in (before.reason, *(one.reason for one in before.further)):
            further = (*before.further, FurtherReason(reason, at_ns))[:_FURTHER_MAX]
            table[_ROW] = replace(before, further=further)
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
