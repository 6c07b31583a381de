"""Kite's ticker address played by hand: what clients say, and frames sent at will."""

import asyncio
import json
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from tradebus.brokers.kite import KiteEndpoints, KiteSettings


class KiteTickerServer:
    """`tokens` are let in; `told` holds every message by connection, in the order of connecting."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = set(tokens)
        self.queries: list[dict[str, list[str]]] = []
        self.told: list[list[Any]] = []
        self.open: list[ServerConnection] = []
        self._server: Server | None = None

    async def __aenter__(self) -> "KiteTickerServer":
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._let_in)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None):
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"

    def settings(self, **changes: Any) -> KiteSettings:
        fields = {"api_key": "apikey", "access_token": next(iter(self.tokens), "token-text")}
        return KiteSettings(**(fields | {"endpoints": KiteEndpoints.at(self.url)} | changes))

    async def until_told(self, connection: int, count: int) -> list[Any]:
        """The messages of a connection once there are so many."""
        async with asyncio.timeout(10):
            while len(self.told) <= connection or len(self.told[connection]) < count:
                await asyncio.sleep(0.005)
        return self.told[connection]

    def _let_in(self, connection: ServerConnection, request: Request) -> Response | None:
        query = parse_qs(urlsplit(request.path).query)
        self.queries.append(query)
        if query.get("access_token", [""])[0] in self.tokens:
            return None
        return connection.respond(HTTPStatus.FORBIDDEN, "no\n")

    async def _serve(self, connection: ServerConnection) -> None:
        messages: list[Any] = []
        self.told.append(messages)
        self.open.append(connection)
        async for text in connection:
            messages.append(json.loads(text))
