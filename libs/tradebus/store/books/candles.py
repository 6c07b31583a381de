"""One-minute candles of every instrument, on Postgres and in memory.

Invariants (tested on both): what was written is what is read, field by field (`tick_count` and `flags` are not kept:
they describe an entry on the bus, not the bar); of two bars with one instrument and time the one written later stands,
within a batch too; what joins a transaction is there if and only if that commits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tradebus.contracts.records import CANDLE, Records
from tradebus.store.candles import last_of_each, read_candles, read_candles_of_many, require_minutes, upsert_candles
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

_TABLE = "candles_1m"


class CandlesBook(Protocol):
    """What takes a transaction is part of it; without one a call is a transaction of its own."""

    async def upsert(self, records: Records, transaction: Any = None) -> None:
        """Adds one-minute bars (dtype CANDLE, shape [n], any order), replacing those with the same instrument and time.

        The instruments must be registered. Raises ValueError for another timeframe.
        """

    async def read(
        self, *, instrument: int, from_ns: int, to_ns: int, limit: int | None = None, transaction: Any = None
    ) -> Records:
        """One-minute bars with ts_open_ns in [from_ns, to_ns), ascending; with `limit` the newest so many of them."""

    async def read_many(
        self, *, instruments: Sequence[int], from_ns: int, to_ns: int, limit: int | None = None
    ) -> Records:
        """As `read` for each of them, by instrument and time, in one round trip."""


class PostgresCandles:
    """See `CandlesBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def upsert(self, records: Records, transaction: Any = None) -> None:
        await upsert_candles(self._store.pool if transaction is None else transaction.connection, records)

    async def read(
        self, *, instrument: int, from_ns: int, to_ns: int, limit: int | None = None, transaction: Any = None
    ) -> Records:
        source = self._store.pool if transaction is None else transaction.connection
        return await read_candles(source, instrument=instrument, from_ns=from_ns, to_ns=to_ns, limit=limit)

    async def read_many(
        self, *, instruments: Sequence[int], from_ns: int, to_ns: int, limit: int | None = None
    ) -> Records:
        return await read_candles_of_many(
            self._store.pool, instruments=instruments, from_ns=from_ns, to_ns=to_ns, limit=limit
        )


class MemoryCandles:
    """See `CandlesBook`. Table "candles_1m": an instrument's id to its bars in time order."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def upsert(self, records: Records, transaction: Any = None) -> None:
        require_minutes(records)
        if transaction is None:
            async with self._book.begin() as own:
                await self._upsert(own, records)
        else:
            await self._upsert(transaction, records)

    async def read(
        self, *, instrument: int, from_ns: int, to_ns: int, limit: int | None = None, transaction: Any = None
    ) -> Records:
        if transaction is None:
            self._book.database.check()
        table: Mapping[Any, Any] = (
            self._book.database.table(_TABLE) if transaction is None else transaction.table(_TABLE)
        )
        bars: Records = table.get(instrument, np.zeros(0, CANDLE))
        first, last = np.searchsorted(bars["ts_open_ns"], [from_ns, to_ns])
        first = first if limit is None else max(first, last - limit)
        return bars[first:last].copy()

    async def read_many(
        self, *, instruments: Sequence[int], from_ns: int, to_ns: int, limit: int | None = None
    ) -> Records:
        found = [
            await self.read(instrument=instrument, from_ns=from_ns, to_ns=to_ns, limit=limit)
            for instrument in sorted(set(instruments))
        ]
        return np.concatenate(found) if found else np.zeros(0, CANDLE)

    async def _upsert(self, transaction: Any, records: Records) -> None:
        for instrument in np.unique(records["instrument"]).tolist():
            if instrument not in transaction.table("instruments"):
                raise LookupError(f"instrument {instrument} is not registered")
            await transaction.lock(f"candles {instrument}")
            table = transaction.table(_TABLE)
            own = records[records["instrument"] == instrument].copy()
            own["tick_count"] = own["flags"] = 0
            table[instrument] = last_of_each(np.concatenate((table.get(instrument, own[:0]), own)))
