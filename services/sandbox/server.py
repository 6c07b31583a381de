"""uvicorn for the faces, with a way to the TCP connection under a request, so that faults can cut or freeze it."""

import asyncio
import socket
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tradebus.kernel.clock import WallClock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.http.server import HttpServer

_CONNECTIONS: dict[tuple[Any, ...], "TcpConnection"] = {}


class TcpConnection:
    """One TCP connection of a client. uvloop's transports are asyncio's by behaviour, not by class."""

    def __init__(self, transport: asyncio.Transport, protocol: object) -> None:
        self._transport, self._protocol = transport, protocol

    def cut(self) -> None:
        """Ends it at once, without a closing word."""
        self._transport.abort()

    def freeze(self) -> None:
        """Leaves it open and deaf: nothing is read any more, so no ping is answered, and none is sent."""
        if not self._transport.is_closing():
            self._transport.pause_reading()
        if isinstance(self._protocol, WebSocketsSansIOProtocol):
            self._protocol.stop_keepalive()


def connection_of(scope: Mapping[str, Any]) -> TcpConnection | None:
    """The connection a request or socket came over; None where no server of this module carries it."""
    return _CONNECTIONS.get(_key(scope.get("server"), scope.get("client")))


def _key(server: object, client: object) -> tuple[Any, ...]:
    return (*(server if isinstance(server, tuple) else ()), *(client if isinstance(client, tuple) else ()))


def _register(transport: asyncio.Transport, protocol: object, server: object, client: object) -> None:
    _CONNECTIONS[_key(server, client)] = TcpConnection(transport, protocol)


class _Http(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        _register(transport, self, self.server, self.client)

    def connection_lost(self, exc: Exception | None) -> None:
        _CONNECTIONS.pop(_key(self.server, self.client), None)
        super().connection_lost(exc)


class _WebSocket(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        _register(cast(asyncio.Transport, transport), self, self.server, self.client)

    def connection_lost(self, exc: Exception | None) -> None:
        _CONNECTIONS.pop(_key(self.server, self.client), None)
        super().connection_lost(exc)

    async def send(self, message: Any) -> None:
        """A handshake answered with a redirect or a refusal is complete: uvicorn would log an error about it."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True


class DatedReplies:
    """Every reply says when it was made, as a broker's servers do: uvicorn's own date is up to a second old, and
    whoever compares clocks would find ours wrong."""

    def __init__(self, app: Any) -> None:
        self._app, self._clock = app, WallClock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def dated(message: Any) -> None:
            if message["type"] == "http.response.start":
                now = formatdate(self._clock.now_ns() // NANOSECONDS_PER_SECOND, usegmt=True)
                message = {**message, "headers": [*message.get("headers", ()), (b"date", now.encode())]}
            await send(message)

        await self._app(scope, receive, dated if scope["type"] == "http" else send)


class FaceServer(HttpServer):
    """A face on a listening socket; open requests get a second to end."""

    def __init__(self, app: Any, listener: socket.socket, *, ping_seconds: float | None = None) -> None:
        super().__init__(
            DatedReplies(app), listener, grace_seconds=1, date_header=False, http=_Http, ws=_WebSocket,
            ws_ping_timeout=40.0, ws_ping_interval=ping_seconds, ws_per_message_deflate=False,
            ws_max_size=16 * 1024 * 1024, backlog=512,
            log_level="warning",  # below it uvicorn writes every socket's address, and with it the token in its query
        )  # fmt: skip
