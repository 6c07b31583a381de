"""Dhan's order stream: hints. It has no trade numbers, so an end that holds fills is told as UNKNOWN, which means: look
the order up. PascalCase (documents) and camelCase (SDK) are both read, whatever their letters' case."""

import json
from collections.abc import AsyncIterator

import structlog

from tradebus.brokers.common.orders.hints import hints_of
from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.connections import frames_of
from tradebus.brokers.dhan.fields import mapping_of
from tradebus.brokers.dhan.order_rows import Reader, small_letters
from tradebus.brokers.errors import Malformed
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.reference import InstrumentOf
from tradebus.brokers.sockets import Frame, ReconnectingSocket, Send, SocketAddress, SocketTiming
from tradebus.kernel.clock import Clock
from tradebus.trading.orders import BrokerOrder

_log = structlog.get_logger()
_LOGIN_CODE = 42
_ALERT = "order_alert"
# A day without orders is silent too, and a connection that is open and dead looks the same: made anew now and then.
TIMING = SocketTiming(silent_seconds=120.0)


class DhanOrderUpdates:
    """One login's orders, from whatever platform they were placed. `account` is what they are told as."""

    def __init__(
        self,
        client: DhanClient,
        *,
        instrument_of: InstrumentOf,
        account: str = "",
        clock: Clock | None = None,
        timing: SocketTiming | None = None,
    ) -> None:
        self._client = client
        self._instrument_of, self._account = instrument_of, account or client.settings.client_id
        self._clock = clock or client.timers
        self._socket = ReconnectingSocket(
            "dhan-orders",
            address=self._address,
            opened=self._opened,
            redactor=client.redactor,
            timers=client.timers,
            timing=timing or TIMING,
        )
        client.follow_token(self._socket)

    def updates(self) -> AsyncIterator[BrokerOrder | FeedEvent]:
        """Ends after `close` or a refusal. CONNECTED means: reconcile with the order book now."""
        return hints_of(frames_of(self._socket, self._client), self.read)

    async def close(self) -> None:
        await self._socket.close()

    def read(self, frame: Frame) -> BrokerOrder | FeedEvent | None:
        """An alert as an order, anything else with a text as a notice; what cannot be read is logged: the order book
        has it too."""
        try:
            message = small_letters(mapping_of("order stream", json.loads(frame)))
            if str(message.get("type")).lower() != _ALERT:
                return FeedEvent(FeedEventKind.NOTICE, self._client.redactor.text(f"dhan-orders: {frame!r}")[:300])
            data = small_letters(mapping_of("order update", message.get("data")))
            return Reader(self._account, self._instrument_of, self._clock.now_ns()).update(data)
        except (ValueError, RecursionError, Malformed) as error:
            _log.warning("dhan: an order update could not be read", reason=self._client.redactor.text(error)[:300])
            return None

    async def _address(self) -> SocketAddress:
        return SocketAddress(self._client.settings.endpoints.order_updates)

    async def _opened(self, send: Send) -> None:
        login = {"MsgCode": _LOGIN_CODE, "ClientId": self._client.settings.client_id, "Token": self._client.token}
        await send(json.dumps({"LoginReq": login, "UserType": "SELF"}))
