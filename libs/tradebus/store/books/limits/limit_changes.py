"""Changes of a running session's limits: the audit of who changed what, when and why, and what holds now.

Invariants (tested on both books): rows are added and never altered; the limits in force are START's with every change
in its order.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tradebus.contracts.sessions import RiskLimits, ScopeLimits, SessionSpec
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("tradebus.store.books.limits", "limit_changes")
_TABLE = "limit_changes"
LimitValue = int | float | str | None


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One limit: of the session, or of `strategy`. Values as the contract has them, money in paise."""

    session_id: str
    user_id: str
    changed_ns: int
    changed_by: str
    strategy: str | None
    field: str
    before: LimitValue
    after: LimitValue
    widens: bool
    reason: str
    command_id: str


class LimitChangesBook(Protocol):
    """What takes a transaction is part of it."""

    async def add(self, transaction: Any, changes: Sequence[StoredChange]) -> None: ...

    async def of_session(self, session_id: str, transaction: Any = None) -> list[StoredChange]:
        """In their order; outside of any transaction where none is given."""


def limits_in_force(spec: SessionSpec, changes: Iterable[StoredChange]) -> tuple[RiskLimits, dict[str, ScopeLimits]]:
    """The session's limits and its strategies' after all changes. A strategy without limits is not in it."""
    limits = spec.limits
    own = {one.name: one.limits for one in spec.strategies if one.limits is not None}
    for change in changes:
        update = {change.field: change.after}
        if change.strategy is None:
            limits = limits.model_copy(update=update)
        else:
            own[change.strategy] = own.get(change.strategy, ScopeLimits()).model_copy(update=update)
    return limits, own


class PostgresLimitChanges:
    """See `LimitChangesBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, transaction: Any, changes: Sequence[StoredChange]) -> None:
        await transaction.connection.executemany(
            _SQL["add"],
            [
                (
                    one.session_id, one.user_id, one.changed_ns, one.changed_by, one.strategy, one.field,
                    json.dumps(one.before), json.dumps(one.after), one.widens, one.reason, one.command_id,
                )
                for one in changes
            ],
        )  # fmt: skip

    async def of_session(self, session_id: str, transaction: Any = None) -> list[StoredChange]:
        source = self._store.pool if transaction is None else transaction.connection
        return [
            StoredChange(
                row["session_id"], row["user_id"], row["changed_ns"], row["changed_by"], row["strategy"], row["field"],
                json.loads(row["before_value"]), json.loads(row["after_value"]), row["widens"], row["reason"],
                row["command_id"],
            )
            for row in await source.fetch(_SQL["of_session"], session_id)
        ]  # fmt: skip


class MemoryLimitChanges:
    """See `LimitChangesBook`. Rows by their number."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def add(self, transaction: Any, changes: Sequence[StoredChange]) -> None:
        await transaction.lock(_TABLE)
        table = transaction.table(_TABLE)
        for number, change in enumerate(changes, start=len(table)):
            table[number] = change

    async def of_session(self, session_id: str, transaction: Any = None) -> list[StoredChange]:
        if transaction is None:
            self._book.database.check()
        table = self._book.database.table(_TABLE) if transaction is None else transaction.table(_TABLE)
        return [change for _, change in sorted(table.items()) if change.session_id == session_id]
