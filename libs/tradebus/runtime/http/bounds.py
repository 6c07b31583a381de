"""What a caller may cost an HTTP server: time to come to the point, bytes of head and body, and a place.

`BoundedProtocol` cuts connections: whose request's head or body does not come in time, whose head is endless, and those
that have been idle longest where more are open than are kept. `BoundedBodies` refuses a body by its declared length
before any of it is read, counts what is read, and closes a connection whose body nobody wants.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tradebus.runtime.callers import Callers

HEAD_SECONDS, BODY_SECONDS = 10.0, 30.0
HEAD_BYTES_MAX = 64 * 1024
IDLE_MAX = 256  # connections that are open and ask nothing
REQUESTS_MAX = 512  # that are being answered; more are told to come again (503)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's connection, with bounds. `callers` is shared by the connections of a server."""

    def __init__(self, *args: Any, callers: Callers, head_seconds: float, body_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._callers, self._head_seconds, self._body_seconds = callers, head_seconds, body_seconds
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._callers.came(self, transport.abort)
        self._within(self._head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._callers.left(self)
        self._within(None)
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._within(self._head_seconds)

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name + value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._callers.left(self)
        self._within(self._body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._within(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._callers.came(self, self.transport.close)

    def handle_websocket_upgrade(self) -> None:
        self._callers.left(self)
        self._within(None)
        super().handle_websocket_upgrade()

    def _count(self, part: bytes) -> None:
        self._head_bytes += len(part)
        if self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()

    def _within(self, seconds: float | None) -> None:
        """So long until the next step, or the connection is cut; None: as long as it takes."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.transport.abort)


App = Callable[[Any, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


class _TooLarge(Exception):
    pass


class BoundedBodies:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, *, bytes_max: int) -> None:
        self._app, self._bytes_max = app, bytes_max

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, bytes_max=self._bytes_max)
        if exchange.is_too_large:
            await exchange.refuse()
            return
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except _TooLarge:
            await exchange.refuse()


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Any, receive: Any, send: Any, *, bytes_max: int) -> None:
        self._receive, self._send, self._bytes_max = receive, send, bytes_max
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self.is_too_large = length.isdigit() and int(length) > bytes_max
        self._unread = b"transfer-encoding" in headers or (length.isdigit() and int(length) > 0)
        self._bytes, self._started = 0, False

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._bytes_max:
                raise _TooLarge
            self._unread = self._unread and bool(message.get("more_body"))
        return message

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            if self._unread:  # nobody will: the rest is not waited for
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await self._send(message)

    async def refuse(self) -> None:
        """413, and the connection is closed."""
        if self._started:
            return
        body = b'{"detail":"a body of at most %d bytes is taken"}' % self._bytes_max
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)),
                   (b"connection", b"close")]  # fmt: skip
        await self._send({"type": "http.response.start", "status": 413, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})
