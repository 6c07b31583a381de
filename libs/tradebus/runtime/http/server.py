"""uvicorn as a component of the service shell, for services that serve more than their health port."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvicorn

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.callers import Callers
from tradebus.runtime.http.bounds import BODY_SECONDS, HEAD_SECONDS, IDLE_MAX, REQUESTS_MAX, BoundedProtocol

_WEBSOCKET_BYTES_MAX = 64 * 1024


def bind(host: str, port: int, *, setting: str) -> socket.socket:
    """Listens at once: a caller who comes before the application runs waits instead of being refused.

    Raises Unavailable, naming `setting`, where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named TCP, or asyncio leaves Nagle's algorithm on in every connection: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on {host}:{port} ({error.strerror}): set {setting} to a free port") from error
    listener.setblocking(False)
    return listener


class HttpServer:
    """Serves the application until told to stop; open requests get `grace_seconds` to end. Callers are bounded
    (`bounds`): a request's head is to come within `head_seconds`, its body within `body_seconds`. `options` are
    uvicorn's."""

    def __init__(
        self, app: Any, listener: socket.socket, *, grace_seconds: int = 3, head_seconds: float = HEAD_SECONDS,
        body_seconds: float = BODY_SECONDS, **options: Any,
    ) -> None:  # fmt: skip
        self._listener = listener
        protocol = partial(
            BoundedProtocol, callers=Callers(most=IDLE_MAX), head_seconds=head_seconds, body_seconds=body_seconds
        )
        settings = {
            "ws_max_size": _WEBSOCKET_BYTES_MAX, "http": protocol, "limit_concurrency": REQUESTS_MAX + IDLE_MAX,
            **options,
        }  # fmt: skip
        self._server = _Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=grace_seconds,
                server_header=False, **settings,
            )
        )  # fmt: skip

    async def run(self, stop: asyncio.Event) -> None:
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            self._server.should_exit = True
            await serving
        finally:
            stopping.cancel()
            self._listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service shell's business."""
        yield
