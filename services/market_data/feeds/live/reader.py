"""Keeps a broker's feed open and gathers what it brings, whatever happens to its socket.

    open ─► subscribe ─► batches gathered, events told ─► ended? ─► pause ─► open again

The feed reconnects by itself where its socket says that it is gone; `drop` is for one that is open and dead.
"""

import asyncio
from collections.abc import Mapping

import numpy as np
import structlog
from prometheus_client import Counter

from services.market_data.feeds.live.source import LiveSource
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode, MarketFeed
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.errors import TradebusError

_AGAIN_SECONDS, _REFUSED_SECONDS = 0.5, 5.0
_HELD_MAX = 10_000  # batches; a reader this far ahead waits, and the socket with it
_log = structlog.get_logger()

_EVENTS = Counter("tradebus_market_data_feed_events_total", "What happened to the feed's connection", ["kind"])


class FeedReader:
    """`instruments` by id. `arrived` is set whenever there is something to take."""

    def __init__(self, source: LiveSource, instruments: Mapping[int, ListedInstrument]) -> None:
        self._source, self._instruments = source, instruments
        self._batches: list[Records] = []
        self._feed: MarketFeed | None = None
        self._room = asyncio.Event()
        self.arrived = asyncio.Event()
        self.connections = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            refused = False
            try:
                refused = await self._follow()
            except TradebusError as error:
                _log.error("the feed cannot be opened", broker=self._source.name, error=str(error))
                refused = not isinstance(error, BrokerError)
            if refused:
                self._source.renew()  # with the login as it is stored by then
            await asyncio.sleep(_REFUSED_SECONDS if refused else _AGAIN_SECONDS)

    def take(self) -> Records:
        """The QUOTE records that arrived since the last call, in their order."""
        self.arrived.clear()
        batches, self._batches = self._batches, []
        self._room.set()
        if len(batches) == 1:
            return batches[0]
        return np.concatenate(batches) if batches else np.empty(0, QUOTE)

    async def drop(self) -> None:
        """Gives the feed up; another is opened."""
        feed, self._feed = self._feed, None
        if feed is not None:
            await feed.close()

    async def _follow(self) -> bool:
        """One feed to its end. Whether the broker refused it for good."""
        feed = self._feed = self._source.broker.feed()
        refused = False
        try:
            await feed.subscribe(self._instruments, FeedMode.FULL)
            async for item in feed.batches():
                if isinstance(item, FeedEvent):
                    self._told(item)
                    refused = refused or item.kind is FeedEventKind.REFUSED
                elif len(item):
                    await self._hold(item)
        finally:
            await feed.close()
        return refused

    async def _hold(self, batch: Records) -> None:
        self._batches.append(batch)
        self.arrived.set()
        if len(self._batches) >= _HELD_MAX:
            self._room.clear()
            await self._room.wait()

    def _told(self, event: FeedEvent) -> None:
        _EVENTS.labels(event.kind.value).inc()
        if event.kind is FeedEventKind.CONNECTED:
            self.connections += 1
        log = _log.info if event.kind in (FeedEventKind.CONNECTED, FeedEventKind.MARKET_STATUS) else _log.warning
        log("feed", broker=self._source.name, kind=event.kind.value, text=event.text)
