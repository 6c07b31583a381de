"""All market-feed connections of the face: one listener to the exchange, each batch encoded once."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

import numpy as np

from services.sandbox.faces.dhan.feed_connection import Batch, FeedSubscriber
from services.sandbox.faces.dhan.packets import Encoder, FeedCodes, market_status
from services.sandbox.faces.dhan.words import SEGMENT_CODE
from services.sandbox.ports import BrokerName, Exchange, Reading, SandboxInstrument, TokenProblem
from tradebus.calendar import MarketClass, session_for
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.records import Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date

CONNECTIONS_MAX = 5  # of one client; the next drops the oldest
TOO_MANY_CONNECTIONS, TOKEN_EXPIRED = 805, 807
_LOG = logging.getLogger(__name__)
_LOOK_AGAIN_SECONDS = 0.25
_CLASSES = {Segment.NSE: MarketClass.EQUITY_FNO, Segment.NFO: MarketClass.DERIVATIVE}


class FeedHub:
    """Runs only while somebody is connected."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._connections: list[FeedSubscriber] = []
        self._task: asyncio.Task[None] | None = None
        self._open: dict[Segment, bool] = {}
        self._list()

    def _list(self) -> None:
        self._listing: Sequence[SandboxInstrument] = self._exchange.instruments
        self._directory = FeedCodes(self._listing)
        self._encoder = Encoder(self._directory)

    @property
    def listed(self) -> int:
        """How many instruments the connections' arrays have."""
        self._follow_listing()
        return len(self._listing)

    def attach(self, connection: FeedSubscriber) -> None:
        """Drops the oldest of the client's connections where this is one too many."""
        account = connection.token.account
        mine = [each for each in self._connections if each.token.account == account and not each.ended]
        for oldest in mine[: max(0, len(mine) - CONNECTIONS_MAX + 1)]:
            oldest.end(TOO_MANY_CONNECTIONS)
        self._connections.append(connection)
        if self._task is None or self._task.done():
            self._open = self._phases()
            self._task = asyncio.get_running_loop().create_task(self._follow())

    def detach(self, connection: FeedSubscriber) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def snapshot(self, connection: FeedSubscriber, instruments: Sequence[SandboxInstrument]) -> None:
        """Sends the state of freshly subscribed instruments."""
        if instruments:
            quotes = self._exchange.quotes[[each.index for each in instruments]]
            connection.snapshot(self._batch(quotes))

    async def _follow(self) -> None:
        quotes: Reading[Records] = self._exchange.listen_quotes()
        try:
            while self._connections:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                        batch = await quotes.get()
                    self._spread(batch)
                self._end_expired()
                self._tell_phases()
        except Exception:
            _LOG.exception("dhan face: the market feed stopped; it begins again with the next connection")
            raise
        finally:
            self._exchange.unlisten(quotes)

    def _spread(self, quotes: Records) -> None:
        self._follow_listing()
        batch = self._batch(quotes)
        for connection in self._connections:
            if not connection.ended:
                connection.offer(batch)

    def _batch(self, quotes: Records) -> Batch:
        return Batch(quotes, self._encoder, self._directory)

    def _follow_listing(self) -> None:
        """After a day's end instruments may have gone, come and moved."""
        if self._exchange.instruments is self._listing:
            return
        before = {each.key: each.index for each in self._listing}
        self._list()
        order = np.array([before.get(each.key, -1) for each in self._listing], np.int64)
        for connection in self._connections:
            connection.moved(order, len(self._listing))

    def _end_expired(self) -> None:
        for connection in self._connections:
            found = self._exchange.authorise(BrokerName.DHAN, connection.token.value)
            if isinstance(found, TokenProblem):
                connection.end(TOKEN_EXPIRED)

    def _tell_phases(self) -> None:
        now = self._phases()
        if now != self._open:
            changed = [segment for segment, is_open in now.items() if self._open.get(segment) != is_open]
            self._open = now
            for connection in self._connections:
                for segment in changed:
                    connection.say(market_status(SEGMENT_CODE[segment]))

    def _phases(self) -> dict[Segment, bool]:
        """Whether each segment trades now; a date outside the calendar's years counts as shut."""
        now_ns, found = self._exchange.now_ns, {}
        for segment, market_class in _CLASSES.items():
            try:
                session = session_for(ist_date(now_ns), market_class)
            except InvalidInput:
                session = None
            found[segment] = session is not None and session.contains(now_ns)
        return found
