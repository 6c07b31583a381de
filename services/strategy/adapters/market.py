"""What the book says of the market beside candles: the feed that is running, last closes, option chains."""

from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Protocol

import structlog

from services.strategy.adapters.seen import StoredChains
from tradebus.kernel.time import ist_to_ns
from tradebus.store.book import Book
from tradebus.store.books import candles_book, chains_book, feeds_book
from tradebus.strategies.market_views import Chain, chain_of
from tradebus.strategies.roles import Offered

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


class RunningMarketBook:
    """See `RunningMarket`: what any book holds of it."""

    def __init__(self, book: Book) -> None:
        self._feeds, self._chains, self._candles = feeds_book(book), chains_book(book), candles_book(book)

    async def offered(self) -> tuple[Offered, date | None]:
        row = await self._feeds.read()
        if row is None:
            return _UNKNOWN, None
        spec = row.spec
        if spec.get("feed") != "live":
            first = spec.get("from")
            name = _NAMES.get(str(spec.get("feed")), "this feed")
            return Offered(name), None if first is None else date.fromisoformat(first)
        full, chains = frozenset(spec.get("full", ())), frozenset(spec.get("chains", ()))
        return Offered(f"feed {spec.get('broker')}", full, chains), None

    async def closes_paise(self, instruments: Iterable[int], *, day: date) -> Mapping[int, int]:
        closes: dict[int, int] = {}
        for instrument in instruments:
            rows = await self._candles.read(instrument=instrument, from_ns=0, to_ns=ist_to_ns(day, time(0)), limit=1)
            if len(rows):
                closes[instrument] = int(rows["close_paise"][-1])
        return closes

    async def newest(self, underlyings: Iterable[str]) -> Mapping[str, Chain]:
        chains: dict[str, Chain] = {}
        for index, stored in (await self._chains.newest(underlyings)).items():
            try:
                chains[index] = chain_of(index, stored.expiry, stored.seen_ns, stored.strikes)
            except ValueError as error:
                _log.warning("option chain not read", index=index, reason=str(error))
        return chains
