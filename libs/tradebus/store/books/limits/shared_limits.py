"""Limits over several sessions (a user's, an account's, all): what holds, and the audit of who changed what and why.

A scope is "all", "account NAME" or "user NAME". A row keeps what the desk's file said when it was last taken over, so
that a change holds until the file says something else than it did.

Invariants (tested on both books): changes are added and never altered; a row and its changes are there together or not
at all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.contracts.sessions import ScopeLimits
from tradebus.store.books.limits.limit_changes import LimitValue
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

ALL, ACCOUNT, USER = "all", "account ", "user "
_SQL = load_queries("tradebus.store.books.limits", "shared_limits")
_ROWS, _CHANGES = "shared_limits", "shared_limit_changes"


@dataclass(frozen=True, slots=True)
class SharedLimitsRow:
    """`limits` hold; `file` is what the file said of the scope when it was taken over, None where nothing."""

    limits: ScopeLimits
    file: ScopeLimits | None = None


@dataclass(frozen=True, slots=True)
class SharedLimitChange:
    """One limit of a scope. Values as the contract has them, money in paise."""

    scope: str
    changed_ns: int
    changed_by: str
    field: str
    before: LimitValue
    after: LimitValue
    widens: bool
    reason: str
    command_id: str


class SharedLimitsBook(Protocol):
    """What takes a transaction is part of it; whoever changes a row holds `lock` in it first."""

    async def lock(self, transaction: Any) -> None: ...

    async def rows(self, transaction: Any = None) -> dict[str, SharedLimitsRow]:
        """By scope."""

    async def put(
        self, transaction: Any, scope: str, row: SharedLimitsRow, changes: Sequence[SharedLimitChange]
    ) -> None: ...

    async def changes(self) -> list[SharedLimitChange]:
        """In their order."""


class PostgresSharedLimits:
    """See `SharedLimitsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def lock(self, transaction: Any) -> None:
        await transaction.lock(_ROWS)

    async def rows(self, transaction: Any = None) -> dict[str, SharedLimitsRow]:
        source = self._store.pool if transaction is None else transaction.connection
        return {
            row["scope"]: SharedLimitsRow(
                _read(row["limits"]), _read(row["file_limits"]) if row["file_limits"] else None
            )
            for row in await source.fetch(_SQL["rows"])
        }

    async def put(
        self, transaction: Any, scope: str, row: SharedLimitsRow, changes: Sequence[SharedLimitChange]
    ) -> None:
        file = None if row.file is None else row.file.model_dump_json()
        await transaction.connection.execute(_SQL["put"], scope, row.limits.model_dump_json(), file)
        await transaction.connection.executemany(
            _SQL["add"],
            [
                (
                    one.scope, one.changed_ns, one.changed_by, one.field, json.dumps(one.before), json.dumps(one.after),
                    one.widens, one.reason, one.command_id,
                )
                for one in changes
            ],
        )  # fmt: skip

    async def changes(self) -> list[SharedLimitChange]:
        return [
            SharedLimitChange(
                row["scope"], row["changed_ns"], row["changed_by"], row["field"], json.loads(row["before_value"]),
                json.loads(row["after_value"]), row["widens"], row["reason"], row["command_id"],
            )
            for row in await self._store.pool.fetch(_SQL["changes"])
        ]  # fmt: skip


class MemorySharedLimits:
    """See `SharedLimitsBook`. Rows by scope, changes by their number."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def lock(self, transaction: Any) -> None:
        await transaction.lock(_ROWS)

    async def rows(self, transaction: Any = None) -> dict[str, SharedLimitsRow]:
        return dict(sorted(self._table(_ROWS, transaction).items()))

    async def put(
        self, transaction: Any, scope: str, row: SharedLimitsRow, changes: Sequence[SharedLimitChange]
    ) -> None:
        transaction.table(_ROWS)[scope] = row
        table = transaction.table(_CHANGES)
        for number, change in enumerate(changes, start=len(table)):
            table[number] = change

    async def changes(self) -> list[SharedLimitChange]:
        return [change for _, change in sorted(self._table(_CHANGES, None).items())]

    def _table(self, name: str, transaction: Any) -> Mapping[Any, Any]:
        if transaction is not None:
            table: Mapping[Any, Any] = transaction.table(name)
            return table
        self._book.database.check()
        return self._book.database.table(name)


def _read(text: str) -> ScopeLimits:
    return ScopeLimits.model_validate_json(text)
