"""What the book says of the market beside candles: the feed that is running, last closes, option chains."""

from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Protocol

import structlog

from services.strategy.adapters.seen import StoredChains
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.store.book import Book
from tradebus.store.books import candles_book
from tradebus.store.books.candles import CandlesBook
from tradebus.store.queries import load_queries
from tradebus.store.store import Store
from tradebus.strategies.market_views import Chain, chain_of
from tradebus.strategies.roles import Offered

_SQL = load_queries("services.strategy.sql", "market")
_NAMES = {"history": "this history", "generated": "the generated market"}
_UNKNOWN = Offered("the feed", depth=None, chains=None)
_log = structlog.get_logger()


class RunningMarket(StoredChains, Protocol):
    """What `tradebus.strategies.roles` asks of the running feed."""

    async def offered(self) -> tuple[Offered, date | None]:
        """What the feed brings, without closes, and the first day of one that is recorded. A feed that has not begun
        yet may bring anything."""

    async def closes_paise(self, instruments: Iterable[int], *, day: date) -> Mapping[int, int]:
        """Each instrument's last close before a day, where there is one."""


def market_of(book: Book) -> RunningMarket:
    """In memory no feed runs, and nobody reads chains: only closes are there."""
    return PostgresMarket(book) if isinstance(book, Store) else MemoryMarket(book)


class MemoryMarket:
    """See `RunningMarket`."""

    def __init__(self, book: Book) -> None:
        self._candles = candles_book(book)

    async def offered(self) -> tuple[Offered, date | None]:
        return _UNKNOWN, None

    async def closes_paise(self, instruments: Iterable[int], *, day: date) -> Mapping[int, int]:
        return await _closes(self._candles, instruments, day)

    async def newest(self, underlyings: Iterable[str]) -> Mapping[str, Chain]:
        return {}


class PostgresMarket:
    """See `RunningMarket`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def offered(self) -> tuple[Offered, date | None]:
        row = await self._store.pool.fetchval(_SQL["feed_spec"])
        if row is None:
            return _UNKNOWN, None
        if row.get("feed") != "live":
            first = row.get("from")
            name = _NAMES.get(str(row.get("feed")), "this feed")
            return Offered(name), None if first is None else date.fromisoformat(first)
        full, chains = frozenset(row.get("full", ())), frozenset(row.get("chains", ()))
        return Offered(f"feed {row.get('broker')}", full, chains), None

    async def closes_paise(self, instruments: Iterable[int], *, day: date) -> Mapping[int, int]:
        return await _closes(candles_book(self._store), instruments, day)

    async def newest(self, underlyings: Iterable[str]) -> Mapping[str, Chain]:
        chains: dict[str, Chain] = {}
        for row in await self._store.pool.fetch(_SQL["newest_chains"], sorted(underlyings)):
            seen_ns = int(row["updated_at"].timestamp() * NANOSECONDS_PER_SECOND)
            try:
                chains[row["idx"]] = chain_of(row["idx"], row["expiry"], seen_ns, row["payload"])
            except ValueError as error:
                _log.warning("option chain not read", index=row["idx"], reason=str(error))
        return chains


async def _closes(candles: CandlesBook, instruments: Iterable[int], day: date) -> Mapping[int, int]:
    closes: dict[int, int] = {}
    for instrument in instruments:
        rows = await candles.read(instrument=instrument, from_ns=0, to_ns=ist_to_ns(day, time(0)), limit=1)
        if len(rows):
            closes[instrument] = int(rows["close_paise"][-1])
    return closes
