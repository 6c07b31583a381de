"""The three addresses every service answers on its health port: /healthz, /readyz and /metrics.

Small enough to need no web framework: GET only, one answer per connection, on asyncio's own server.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.callers import Callers
from tradebus.runtime.metrics import process_registry

_READ_TIMEOUT_SECONDS: Final = 5.0
_CALLERS_MAX: Final = 64


class HealthServer:
    """`ready` says whether /readyz answers 200 or 503, with a word on why not; /metrics shows `registry`.

    Callers that do not come to the point are cut after five seconds, and earlier where more come than are kept.
    """

    def __init__(
        self, *, host: str, port: int, ready: Callable[[], str | None], registry: CollectorRegistry | None = None
    ) -> None:
        self._host, self._port, self._ready = host, port, ready
        self._registry = registry or process_registry()
        self._callers = Callers(most=_CALLERS_MAX)
        self._server: asyncio.Server | None = None

    async def start(self) -> int:
        """Listens; returns the port (the system's choice where 0 was asked for). Raises Unavailable."""
        try:
            self._server = await asyncio.start_server(self._answer, self._host, self._port)
        except OSError as error:
            raise Unavailable(
                f"TRADEBUS_HEALTH_PORT: {self._host}:{self._port} cannot be listened on"
                f" ({os.strerror(error.errno) if error.errno else error}); choose another port"
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._callers.came(writer, writer.transport.abort)
        try:
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            status, content_type, body = self._respond(head.split(b" ", 2)[1].decode("ascii", "replace"))
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + body
            )
            async with asyncio.timeout(_READ_TIMEOUT_SECONDS):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, IndexError):
            pass  # a caller that does not speak HTTP, or left: nothing to answer
        finally:
            self._callers.left(writer)
            writer.close()

    def _respond(self, path: str) -> tuple[str, str, bytes]:
        match path.partition("?")[0]:
            case "/healthz":
                return "200 OK", "text/plain", b"alive\n"
            case "/readyz":
                problem = self._ready()
                if problem is None:
                    return "200 OK", "text/plain", b"ready\n"
                return "503 Service Unavailable", "text/plain", f"{problem}\n".encode()
            case "/metrics":
                return "200 OK", CONTENT_TYPE_LATEST, generate_latest(self._registry)
            case _:
                return "404 Not Found", "text/plain", b"try /healthz, /readyz or /metrics\n"
