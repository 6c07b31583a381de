"""Upstox's sockets: a single-use address is asked for, with the token, before each connection."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from urllib.parse import urlsplit

from tradebus.brokers.common.access.addresses import SOCKET_SCHEMES, check_address
from tradebus.brokers.common.replies.rows import Unreadable, row_of, text
from tradebus.brokers.errors import BrokerError, Refused, TokenExpired
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.sockets import Frame, ReconnectingSocket, Send, SocketAddress, SocketTiming
from tradebus.brokers.upstox.client import UpstoxClient, Use
from tradebus.kernel.errors import InvalidInput


class AuthorisedSocket:
    """A ReconnectingSocket whose address comes from `authorise`, and which a refusal of that ends."""

    def __init__(
        self,
        name: str,
        client: UpstoxClient,
        authorise: Use,
        *,
        opened: Callable[[Send], Awaitable[None]],
        timing: SocketTiming | None = None,
    ) -> None:
        self._name, self._client, self._authorise = name, client, authorise
        self._refusal: BrokerError | None = None
        self.socket = ReconnectingSocket(
            name, address=self._address, opened=opened, redactor=client.redactor, timers=client.timers, timing=timing
        )

    async def frames(self) -> AsyncGenerator[list[Frame] | FeedEvent, None]:
        """As ReconnectingSocket.frames."""
        async with aclosing(self.socket.frames()) as items:
            async for item in items:
                if self._refusal is not None:
                    yield FeedEvent(FeedEventKind.REFUSED, f"{self._name}: {self._refusal}")
                    await self.socket.close()
                    return
                yield item

    async def _address(self) -> SocketAddress:
        """Raises OSError, which the socket answers by trying again later."""
        try:
            row = row_of(await self._client.once(f"{self._name} address", self._authorise), what="data")
            url = text(row, "authorized_redirect_uri", "authorizedRedirectUri")
            self._client.redactor.learn(url)
            self._client.redactor.learn(urlsplit(url).query)
            check_address(self._name, url, SOCKET_SCHEMES)
        except (Refused, TokenExpired) as error:
            self._refusal = error
            raise OSError(str(error)) from None
        except (BrokerError, Unreadable, InvalidInput) as error:
            raise OSError(self._client.redactor.text(error)) from None
        return SocketAddress(url)
