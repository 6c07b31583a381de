"""One ticker connection of a login: where it goes, and what a refusal leads to.

connected ─► frames ─► lost ─► connected …        refused (401, 403) ─► one new token ─► refused again: over
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from urllib.parse import urlencode

from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.kite.client import KiteClient
from tradebus.brokers.sockets import Frame, ReconnectingSocket, Send, SocketAddress, SocketTiming

# Kite sends a heartbeat of one byte every couple of seconds: five without anything is a dead connection.
TIMING = SocketTiming(silent_seconds=5.0)


class Ticker:
    """`opened` is called with every connection, to subscribe. The URL holds the login and is never shown. One that
    `follows_token` connects again with every new one."""

    def __init__(
        self,
        name: str,
        client: KiteClient,
        *,
        opened: Callable[[Send], Awaitable[None]],
        timing: SocketTiming | None = None,
        seed: int = 0,
        follows_token: bool = False,
    ) -> None:
        self._follows_token = follows_token
        self._name, self._client, self._opened = name, client, opened
        self._timing, self._seed = timing or TIMING, seed
        self._socket = self._new_socket()
        self._closed = False

    async def frames(self) -> AsyncGenerator[list[Frame] | FeedEvent, None]:
        """As ReconnectingSocket's. Ends after `close`, or after a refusal that no new token mended."""
        refreshed = False
        while not self._closed:
            refused: FeedEvent | None = None
            async with aclosing(self._socket.frames()) as items:
                async for item in items:
                    if isinstance(item, FeedEvent) and item.kind is FeedEventKind.REFUSED:
                        refused = item
                        break
                    if isinstance(item, FeedEvent) and item.kind is FeedEventKind.CONNECTED:
                        refreshed = False  # the token is good
                    yield item
            if refused is None:
                return
            if refreshed or not await self._client.renew():
                yield refused
                return
            refreshed = True
            self._socket = self._new_socket()

    async def send(self, text: str) -> bool:
        """Sends now where connected."""
        return await self._socket.send(text)

    async def drop(self) -> None:
        """Gives this connection up; the next one follows."""
        await self._socket.drop()

    async def close(self) -> None:
        self._closed = True
        await self._socket.close()

    def _new_socket(self) -> ReconnectingSocket:
        socket = ReconnectingSocket(
            self._name, address=self._address, opened=self._opened, redactor=self._client.redactor,
            timers=self._client.timers, timing=self._timing, seed=self._seed,
        )  # fmt: skip
        if self._follows_token:
            self._client.follow_token(socket)
        return socket

    async def _address(self) -> SocketAddress:
        query = urlencode({"api_key": self._client.settings.api_key, "access_token": self._client.token})
        return SocketAddress(f"{self._client.settings.endpoints.ticker}?{query}")
