"""What brokers call the registered instruments, as of a day of their masters. On Postgres and in memory.

Invariants (tested on both): what was put for a day is what is read for that day, and for no other; only a registered
instrument can have a row; what joins a transaction is there if and only if that commits.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Protocol

from tradebus.store.broker_instruments import BrokerInstrument, put_broker_instruments, read_broker_instruments
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

_TABLE = "broker_instruments"


class ListingsBook(Protocol):
    """What takes a transaction is part of it; without one a call is a transaction of its own."""

    async def listed(self, broker: str, *, listed_on: date) -> list[BrokerInstrument]:
        """The rows of that day's master of the broker, by instrument."""

    async def put_listed(
        self, broker: str, rows: Sequence[BrokerInstrument], *, listed_on: date, transaction: Any = None
    ) -> None:
        """Adds or replaces the broker's rows. The instruments must be registered, with their key."""


class PostgresListings:
    """See `ListingsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def listed(self, broker: str, *, listed_on: date) -> list[BrokerInstrument]:
        return await read_broker_instruments(self._store.pool, broker, listed_on=listed_on)

    async def put_listed(
        self, broker: str, rows: Sequence[BrokerInstrument], *, listed_on: date, transaction: Any = None
    ) -> None:
        source = self._store.pool if transaction is None else transaction.connection
        await put_broker_instruments(source, broker, rows, listed_on=listed_on)


class MemoryListings:
    """See `ListingsBook`. Table "broker_instruments": broker and instrument to the day of the master and the row."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def listed(self, broker: str, *, listed_on: date) -> list[BrokerInstrument]:
        self._book.database.check()
        instruments = self._book.database.table("instruments")
        found = [
            replace(row, instrument_key=instruments[number].instrument_key)
            for (name, number), (day, row) in sorted(self._book.database.table(_TABLE).items())
            if (name, day) == (broker, listed_on)
        ]
        return [row for row in found if row.instrument_key is not None]

    async def put_listed(
        self, broker: str, rows: Sequence[BrokerInstrument], *, listed_on: date, transaction: Any = None
    ) -> None:
        if transaction is None:
            async with self._book.begin() as own:
                await self.put_listed(broker, rows, listed_on=listed_on, transaction=own)
            return
        for row in rows:
            if row.instrument_id not in transaction.table("instruments"):
                raise LookupError(f"instrument {row.instrument_id} is not registered")
            transaction.table(_TABLE)[broker, row.instrument_id] = listed_on, row
