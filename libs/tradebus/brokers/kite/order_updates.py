"""Kite's order updates: text frames on a ticker connection that subscribes to nothing.

They are hints. Kite sends none for a plain placement and none for what happened while nobody was connected, may send
one twice or late, and never says what the fills were: an end that holds some is told as UNKNOWN, which means: look the
order up. Nothing is asked here: behind each update wait others.
"""

from collections.abc import AsyncIterator

import structlog

from tradebus.brokers.common.orders.hints import hints_of
from tradebus.brokers.common.replies.rows import Unreadable, row_of
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.kite.book import line_of, order_of
from tradebus.brokers.kite.client import KiteClient
from tradebus.brokers.kite.decoder import message
from tradebus.brokers.kite.ticker import Ticker
from tradebus.brokers.reference import InstrumentOf
from tradebus.brokers.sockets import Send, SocketTiming
from tradebus.kernel.clock import Clock
from tradebus.trading.orders import BrokerOrder

_log = structlog.get_logger()


class KiteOrderUpdates:
    """Of one login. `account` is put into the orders; without it, Kite's user id is. Takes one of the three connections
    that Kite allows an API key."""

    def __init__(
        self,
        client: KiteClient,
        *,
        instrument_of: InstrumentOf,
        account: str = "",
        timing: SocketTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client, self._clock = client, clock or client.timers
        self._instrument_of, self._account = instrument_of, account
        self._ticker = Ticker("kite orders", self._client, opened=_nothing, timing=timing, follows_token=True)

    def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        """Until it is closed or refused. Raises nothing for what Kite sends."""
        return hints_of(self._ticker.frames(), self.read)

    async def close(self) -> None:
        await self._ticker.close()

    def read(self, frame: bytes | str) -> BrokerOrder | FeedEvent | None:
        """What one frame says; None where that is of no use to who follows orders."""
        if not isinstance(frame, str):
            return None
        kind, data = message(frame)
        if kind in ("error", "message"):
            return FeedEvent(FeedEventKind.NOTICE, self._client.redactor.text(f"{kind}: {data}")[:300])
        if kind != "order":
            return None
        try:
            line = line_of(row_of(data, what="order update"))
        except Unreadable as error:
            reason = self._client.redactor.text(error)
            _log.error("kite: an order update cannot be read", reason=reason)
            # Whoever follows orders must look at the book: something happened.
            return FeedEvent(FeedEventKind.NOTICE, f"order update: {reason}"[:300])
        account = self._account or line.user
        now_ns = self._clock.now_ns()
        return order_of(line, (), account=account, instrument_of=self._instrument_of, now_ns=now_ns)


async def _nothing(send: Send) -> None:
    """Order updates come unasked."""
