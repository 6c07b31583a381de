"""Upstox's portfolio stream behind the OrderUpdates port: hints. It has no trade numbers, so an end that holds fills is
told as UNKNOWN, which means: look the order up. Nothing is asked here: behind each update wait others.

authorize ─► wss ─► flat JSON per update ─► order? ─► BrokerOrder
"""

from collections.abc import AsyncIterator

import structlog

from tradebus.brokers.common.orders.hints import hints_of
from tradebus.brokers.common.replies.rows import Unreadable
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.reference import InstrumentOf
from tradebus.brokers.sockets import Frame, Send, SocketTiming
from tradebus.brokers.upstox.authorised import AuthorisedSocket
from tradebus.brokers.upstox.book import line_of, order_of
from tradebus.brokers.upstox.client import API_VERSION, UpstoxClient
from tradebus.brokers.upstox.failures import said_in
from tradebus.kernel.clock import Clock
from tradebus.trading.orders import BrokerOrder

_ORDER = "order"
# A day without orders is silent too, and a connection that is open and dead looks the same: made anew now and then.
TIMING = SocketTiming(silent_seconds=120.0)
_log = structlog.get_logger()


class UpstoxOrderUpdates:
    """One account's stream. An update that cannot be read is a NOTICE: read the book."""

    def __init__(
        self,
        client: UpstoxClient,
        *,
        instrument_of: InstrumentOf,
        account: str = "",
        timing: SocketTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._instrument_of, self._account, self._clock = instrument_of, account, clock or client.timers
        self._socket = AuthorisedSocket(
            "upstox order updates", self._client,
            lambda sdk, raw: sdk.api("WebsocketApi").get_portfolio_stream_feed_authorize(API_VERSION, **raw),
            opened=_nothing_to_say, timing=timing or TIMING,
        )  # fmt: skip
        client.follow_token(self._socket.socket)

    def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        return hints_of(self._socket.frames(), self.read)

    async def close(self) -> None:
        await self._socket.socket.close()

    def read(self, frame: Frame) -> BrokerOrder | FeedEvent | None:
        """One update; None for what is about no order. Never raises for what the broker may send."""
        said = said_in(frame)
        if not isinstance(said, dict):
            return FeedEvent(FeedEventKind.NOTICE, "upstox order updates: a message that is no JSON object")
        if said.get("update_type") != _ORDER:
            return None
        try:
            line = line_of(said)
        except Unreadable as error:
            reason = self._client.redactor.text(error)
            _log.error("upstox: an order update cannot be read", reason=reason)
            return FeedEvent(FeedEventKind.NOTICE, f"upstox order updates: {reason}")
        return order_of(
            line, (), account=self._account or str(said.get("user_id") or said.get("userId") or ""),
            instrument_of=self._instrument_of, now_ns=self._clock.now_ns(),
        )  # fmt: skip


async def _nothing_to_say(send: Send) -> None:
    del send
