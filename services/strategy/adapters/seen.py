"""The newest there is of depth and option chains, for the strategies that need it.

    md.quotes ─► newest QUOTE of each instrument ─┐
    option_chains, read again and again ──────────┴─► context.quote, context.chain, context.put_call_ratio

Nothing old is shown: a quote is of the day that is asked about, a chain at most CHAIN_SECONDS_MAX old.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

import numpy as np

from tradebus.contracts.records import QUOTE, decode
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_midnight_ns
from tradebus.kernel.timers import Timers
from tradebus.runtime.patience import repeatedly
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.strategies.market_views import Chain, Quote, quote_of

CHAIN_SECONDS_MAX = 300


class StoredChains(Protocol):
    async def newest(self, underlyings: Iterable[str]) -> Mapping[str, Chain]:
        """Of each underlying that has one the chain that was seen last. One that cannot be read is left out, with a log
        line."""


class RunningMarketSeen:
    """See `tradebus.strategies.lane.asking.MarketSeen`."""

    def __init__(self) -> None:
        self._quotes: dict[int, np.void] = {}
        self._views: dict[int, Quote] = {}
        self._chains: Mapping[str, Chain] = {}
        self._underlyings: Mapping[int, str] = {}

    def take_quotes(self, body: bytes, wanted: Iterable[int]) -> None:
        """Keeps the newest record of each wanted instrument. Raises ValueError for what is no batch of quotes."""
        quotes = decode(body, QUOTE)
        for row in np.flatnonzero(np.isin(quotes["instrument"], list(wanted))).tolist():
            instrument = int(quotes["instrument"][row])
            held = self._quotes.get(instrument)
            if held is None or quotes["ts_event_ns"][row] >= held["ts_event_ns"]:
                self._quotes[instrument] = quotes[row].copy()
                self._views.pop(instrument, None)

    def take_chains(self, chains: Mapping[str, Chain], underlyings: Mapping[int, str]) -> None:
        """`underlyings` by the instrument ids of who needs one."""
        self._chains, self._underlyings = chains, underlyings

    def quote_of(self, instrument: int, ts_ns: int) -> Quote | None:
        record = self._quotes.get(instrument)
        if record is None or record["ts_event_ns"] < ist_midnight_ns(ts_ns):
            return None
        if instrument not in self._views:
            self._views[instrument] = quote_of(record)
        return self._views[instrument]

    def chain_of(self, instrument: int, ts_ns: int) -> Chain | None:
        chain = self._chains.get(self._underlyings.get(instrument, ""))
        if chain is None or ts_ns - chain.seen_ns > CHAIN_SECONDS_MAX * NANOSECONDS_PER_SECOND:
            return None
        return chain


class ChainReader:
    """Brings the stored chains that somebody needs into `seen`."""

    def __init__(self, active: ActiveSessions, stored: StoredChains, seen: RunningMarketSeen) -> None:
        self._active, self._stored, self._seen = active, stored, seen

    async def read(self) -> None:
        """Asks the book only where a strategy needs a chain."""
        wanted = self._active.chain_underlyings
        self._seen.take_chains(await self._stored.newest(set(wanted.values())) if wanted else {}, wanted)

    async def run(self, stop: asyncio.Event, timers: Timers, *, seconds: float) -> None:
        """Reads again and again. Where the book is away chains grow old, and nobody trades on an old one."""
        await repeatedly(self.read, stop, timers=timers, every_seconds=seconds, what="reading option chains")
