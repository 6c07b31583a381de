"""The audit of requests to brokers: a chain of rows per account (`tradebus.audit.chain`), added to and never changed.

Invariants (tested on both): what is appended goes on from the account's last row, whoever appends at the same time; an
exchange is in the book once, however often it is appended; an append is whole or not at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from typing import Any, Protocol

from tradebus.audit.chain import AuditRow, ChainHead, genesis, linked
from tradebus.audit.exchange import BrokerExchange
from tradebus.store.memory_book import MemoryBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store

_SQL = load_queries("tradebus.store.books", "broker_audit")
_TABLE = "broker_audit"
_NAMES = [one.name for one in fields(BrokerExchange)]


class AuditBook(Protocol):
    """All raise what the book's absence raises."""

    async def append(self, exchanges: Sequence[BrokerExchange]) -> list[ChainHead]:
        """Adds those that are not there yet, in this order; the heads of their accounts' chains from now on."""

    async def heads(self) -> list[ChainHead]:
        """The last row of every account, by account."""

    async def rows(self, account: str, *, after_seq: int, limit: int) -> list[AuditRow]:
        """The account's next rows, in order."""

    async def sent_between(
        self, from_text: str, to_text: str, *, after: AuditRow | None, limit: int
    ) -> list[AuditRow]:  # fmt: skip
        """Of all accounts, by the time they were sent (IST, as the audit writes it), the end not included; those after
        the row `after`."""


class PostgresAudit:
    """See `AuditBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, exchanges: Sequence[BrokerExchange]) -> list[ChainHead]:
        heads = []
        async with self._store.begin() as transaction:
            connection = transaction.connection
            # In one order, so that two who append wait for each other and never both.
            for account, own in sorted(_by_account(exchanges).items()):
                await transaction.lock(f"{_TABLE} {account}")
                rows_there = await connection.fetch(_SQL["known"], [one.exchange_id for one in own])
                known = {row["exchange_id"] for row in rows_there}
                last = await connection.fetchrow(_SQL["head"], account)
                head = genesis(account) if last is None else ChainHead(account, last["seq"], last["hash"])
                rows = linked(head, [one for one in own if one.exchange_id not in known])
                await connection.executemany(_SQL["append"], [_columns(row) for row in rows])
                heads.append(ChainHead(account, rows[-1].seq, rows[-1].hash) if rows else head)
        return heads

    async def heads(self) -> list[ChainHead]:
        return [ChainHead(*row) for row in await self._store.pool.fetch(_SQL["heads"])]

    async def rows(self, account: str, *, after_seq: int, limit: int) -> list[AuditRow]:
        return [_row(one) for one in await self._store.pool.fetch(_SQL["rows"], account, after_seq, limit)]

    async def sent_between(
        self, from_text: str, to_text: str, *, after: AuditRow | None, limit: int
    ) -> list[AuditRow]:  # fmt: skip
        sent_at, number = ("", "") if after is None else (after.exchange.sent_at, after.exchange.exchange_id)
        found = await self._store.pool.fetch(_SQL["sent_between"], from_text, to_text, sent_at, number, limit)
        return [_row(one) for one in found]


class MemoryAudit:
    """See `AuditBook`."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def append(self, exchanges: Sequence[BrokerExchange]) -> list[ChainHead]:
        heads = []
        async with self._book.begin() as transaction:
            table = transaction.table(_TABLE)
            for account, own in sorted(_by_account(exchanges).items()):
                await transaction.lock(f"{_TABLE} {account}")
                before: Sequence[AuditRow] = table.get(account, ())
                known = {row.exchange.exchange_id for rows in table.values() for row in rows}
                head = _head_of(account, before)
                rows = linked(head, [one for one in own if one.exchange_id not in known])
                table[account] = (*before, *rows)
                heads.append(_head_of(account, table[account]))
        return heads

    async def heads(self) -> list[ChainHead]:
        return [_head_of(account, rows) for account, rows in sorted(self._table().items()) if rows]

    async def rows(self, account: str, *, after_seq: int, limit: int) -> list[AuditRow]:
        return [row for row in self._table().get(account, ()) if row.seq > after_seq][:limit]

    async def sent_between(
        self, from_text: str, to_text: str, *, after: AuditRow | None, limit: int
    ) -> list[AuditRow]:  # fmt: skip
        last = ("", "") if after is None else _sent(after)
        found = [row for rows in self._table().values() for row in rows if from_text <= row.exchange.sent_at < to_text]
        return [row for row in sorted(found, key=_sent) if _sent(row) > last][:limit]

    def _table(self) -> Mapping[Any, Any]:
        self._book.database.check()
        return self._book.database.table(_TABLE)


def _by_account(exchanges: Iterable[BrokerExchange]) -> dict[str, list[BrokerExchange]]:
    """Each once."""
    found: dict[str, dict[str, BrokerExchange]] = {}
    for one in exchanges:
        found.setdefault(one.account, {}).setdefault(one.exchange_id, one)
    return {account: list(own.values()) for account, own in found.items()}


def _head_of(account: str, rows: Sequence[AuditRow]) -> ChainHead:
    return ChainHead(account, rows[-1].seq, rows[-1].hash) if rows else genesis(account)


def _sent(row: AuditRow) -> tuple[str, str]:
    return row.exchange.sent_at, row.exchange.exchange_id


def _columns(row: AuditRow) -> tuple[object, ...]:
    account, *others = astuple(row.exchange)
    return (account, row.seq, row.previous_hash, row.hash, *others)


def _row(one: Mapping[str, Any]) -> AuditRow:
    exchange = BrokerExchange(**{name: one[name] for name in _NAMES})
    return AuditRow(one["seq"], one["previous_hash"], exchange, one["hash"])
