"""Keeps one connection of a broker's feed open and gathers what it brings, whatever happens to its socket.

    open ─► subscribe ─► batches gathered, events kept ─► ended? ─► pause ─► open again

The feed reconnects by itself where its socket says that it is gone; `drop` is for one that is open and dead. A
subscription counts as made when its first data has come: `unheard` is what was asked for and has brought nothing.
"""

import asyncio
from collections.abc import Callable, Mapping

import numpy as np
import structlog

from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.source import LiveSource
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode, MarketFeed
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.records import QUOTE, Records
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_AGAIN_SECONDS = 0.5
_HELD_MAX = 10_000  # batches; a reader this far ahead waits, and the socket with it
_QUIET = (FeedEventKind.CONNECTED, FeedEventKind.MARKET_STATUS)
_log = structlog.get_logger()

Asked = Mapping[int, tuple[ListedInstrument, FeedMode]]


class FeedConnection:
    """One connection for the instruments `asked`, by id. `arrived` is set whenever there is something to take;
    `refused` is called where the broker says that this login will not do."""

    def __init__(
        self, number: int, source: LiveSource, asked: Asked, *, arrived: asyncio.Event, refused: Callable[[], None],
        refused_seconds: float, metrics: LiveMetrics, timers: Timers,
    ) -> None:  # fmt: skip
        self.number = number
        self._source, self._asked, self._arrived, self._refused = source, asked, arrived, refused
        self._refused_seconds, self._metrics, self._timers = refused_seconds, metrics, timers
        self._batches: list[Records] = []
        self._losses: list[str] = []
        self._connected = 0
        self._heard = np.zeros(max(asked, default=0) + 1, np.bool_)
        self._feed: MarketFeed | None = None
        self._room = asyncio.Event()

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
                self._refused()
            await sleep(self._timers, self._refused_seconds if refused else _AGAIN_SECONDS)

    def take(self) -> Records:
        """The QUOTE records that arrived since the last call, in their order."""
        batches, self._batches = self._batches, []
        self._room.set()
        if len(batches) == 1:
            return batches[0]
        return np.concatenate(batches) if batches else np.empty(0, QUOTE)

    def losses(self) -> list[str]:
        """Why data may be missing since the last call: the connection went, or another one came."""
        losses, self._losses = self._losses, []
        return losses

    @property
    def unheard(self) -> list[int]:
        """Instruments that were asked for on this connection and have brought nothing since it was made."""
        return [instrument for instrument in self._asked if not self._heard[instrument]]

    async def drop(self) -> None:
        """Gives the connection up; another is opened."""
        feed, self._feed = self._feed, None
        if feed is not None:
            self._losses.append("given up")
            await feed.close()

    async def ask_again(self, instruments: list[int]) -> None:
        """Subscribes anew what has brought nothing. A connection that ends meanwhile asks for all of it again."""
        feed = self._feed
        if feed is None:
            return
        await feed.unsubscribe(instruments)
        await self._subscribe(feed, {each: self._asked[each] for each in instruments})

    async def _follow(self) -> bool:
        """One feed to its end. Whether the broker refused it for good."""
        feed = self._feed = self._source.feed()
        refused = False
        self._heard[:] = False
        try:
            await self._subscribe(feed, self._asked)
            async for item in feed.batches():
                if isinstance(item, FeedEvent):
                    self._told(item)
                    refused = refused or item.kind is FeedEventKind.REFUSED
                elif len(item):
                    await self._hold(item)
        finally:
            await feed.close()
        return refused

    async def _subscribe(self, feed: MarketFeed, asked: Asked) -> None:
        for mode in FeedMode:
            wanted = {instrument: listing for instrument, (listing, its) in asked.items() if its is mode}
            if wanted:
                await feed.subscribe(wanted, mode)

    async def _hold(self, batch: Records) -> None:
        known = batch["instrument"]
        self._heard[known[(known >= 0) & (known < len(self._heard))]] = True
        self._batches.append(batch)
        self._arrived.set()
        if len(self._batches) >= _HELD_MAX:
            self._room.clear()
            await self._room.wait()

    def _told(self, event: FeedEvent) -> None:
        self._metrics.events.labels(event.kind.value).inc()
        if event.kind is FeedEventKind.CONNECTED:
            if self._connected:
                self._losses.append("connected again")
                self._heard[:] = False
            self._connected += 1
        elif event.kind in (FeedEventKind.DISCONNECTED, FeedEventKind.REFUSED):
            self._losses.append(event.text or event.kind.value)
            self._arrived.set()
        log = _log.info if event.kind in _QUIET else _log.warning
        log("feed", broker=self._source.name, connection=self.number + 1, kind=event.kind.value, text=event.text)
