"""The instrument master, on Postgres and in memory.

Invariants (tested on both): an id never changes its symbol and a symbol never its id, because candles and ticks are
kept under the id; neither ever changes its key, because that is what the instrument is; registering the same again
changes nothing; registering is all or nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tradebus.contracts.instruments import Instrument, InstrumentMaster
from tradebus.store.instruments import (
    allocate_instrument_ids,
    load_instruments,
    master_with,
    register_instruments,
)
from tradebus.store.memory_book import MemoryBook
from tradebus.store.store import Store

_ROWS, _ALIASES, _LOCK = "instruments", "instrument_aliases", "instruments"


class InstrumentsBook(Protocol):
    """What takes a transaction is part of it, and one that registers waits for the other."""

    async def load(self, transaction: Any = None) -> InstrumentMaster:
        """Everything registered; what is committed where no transaction is given."""

    async def register(
        self, transaction: Any, rows: Sequence[Instrument], *, aliases: Mapping[str, str] | None = None
    ) -> InstrumentMaster:
        """Adds instruments, or updates what may change of them; `aliases` maps an alias to a registered symbol.

        Returns the whole master as it is then. Raises InvalidInput where an id or a name would mean two instruments; an
        alias may move to another instrument (the front-month future does).
        """

    async def allocate(self, transaction: Any, symbols: Sequence[str]) -> dict[str, int]:
        """The ids of these symbols: their own where registered, the next free ones, in order, where not.

        Call it in the transaction that registers them: others wait until that has ended.
        """


class PostgresInstruments:
    """See `InstrumentsBook`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, transaction: Any = None) -> InstrumentMaster:
        return await load_instruments(self._store.pool if transaction is None else transaction.connection)

    async def register(
        self, transaction: Any, rows: Sequence[Instrument], *, aliases: Mapping[str, str] | None = None
    ) -> InstrumentMaster:
        return await register_instruments(transaction.connection, rows, aliases=aliases)

    async def allocate(self, transaction: Any, symbols: Sequence[str]) -> dict[str, int]:
        return await allocate_instrument_ids(transaction.connection, symbols)


class MemoryInstruments:
    """See `InstrumentsBook`. Tables: "instruments" (id to Instrument), "instrument_aliases" (alias to symbol)."""

    def __init__(self, book: MemoryBook) -> None:
        self._book = book

    async def load(self, transaction: Any = None) -> InstrumentMaster:
        if transaction is None:
            self._book.database.check()
            return _master(self._book.database.table(_ROWS), self._book.database.table(_ALIASES))
        return _master(transaction.table(_ROWS), transaction.table(_ALIASES))

    async def register(
        self, transaction: Any, rows: Sequence[Instrument], *, aliases: Mapping[str, str] | None = None
    ) -> InstrumentMaster:
        await transaction.lock(_LOCK)
        after = master_with(await self.load(transaction), rows, aliases or {})
        for row in rows:
            transaction.table(_ROWS)[row.instrument_id] = row
        for alias, symbol in (aliases or {}).items():
            transaction.table(_ALIASES)[alias] = symbol
        return after

    async def allocate(self, transaction: Any, symbols: Sequence[str]) -> dict[str, int]:
        await transaction.lock(_LOCK)
        rows = transaction.table(_ROWS)
        wanted = set(symbols)
        known = {row.symbol: row.instrument_id for row in rows.values() if row.symbol in wanted}
        next_id = max(rows, default=-1) + 1
        for symbol in symbols:
            if symbol not in known:
                known[symbol] = next_id
                next_id += 1
        return known


def _master(rows: Mapping[int, Instrument], aliases: Mapping[str, str]) -> InstrumentMaster:
    return InstrumentMaster([rows[one] for one in sorted(rows)], dict(sorted(aliases.items())))
