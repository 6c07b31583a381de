"""Wraps a face: first what is made to go wrong, then the broker's limits, then the face itself.

    request ─► Faults.for_request ─► DROP, DELAY, SERVER_ERROR, HTML, TOO_MANY: the face never sees it (DELAY: later)
            ─► RateLimits ─► 429
            ─► face ─► ACCEPT_THEN_DROP, ACCEPT_THEN_ERROR, EMPTY, TRUNCATED: done, not told

A face may set `app.state.error_body`, a function (status, text) -> JSON value, for how its broker words an error.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from services.sandbox.faults.limits import RateLimits, class_of
from services.sandbox.faults.ports import Fault, FaultKind, Faults
from services.sandbox.ports import BrokerName, Exchange, Token
from services.sandbox.server import connection_of

Scope = MutableMapping[str, Any]
AsgiMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[AsgiMessage]]
AsgiSend = Callable[[AsgiMessage], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, AsgiSend], Awaitable[None]]
ErrorBody = Callable[[int, str], object]

_HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<h1>Bad Gateway</h1>\r\n</body>\r\n</html>\r\n"
)
_BEFORE = (FaultKind.DROP, FaultKind.SERVER_ERROR, FaultKind.HTML, FaultKind.TOO_MANY)
_TOO_MANY_TEXT = "Too many requests"


class FaultyApp:
    """An ASGI application around a face's."""

    def __init__(self, app: Any, *, broker: BrokerName, exchange: Exchange, faults: Faults, limits: RateLimits) -> None:
        self._app: AsgiApp = app
        self._broker, self._exchange, self._faults, self._limits = broker, exchange, faults, limits
        state = getattr(app, "state", None)
        self._error_body: ErrorBody = getattr(state, "error_body", None) or _plain_error

    async def __call__(self, scope: Scope, receive: Receive, send: AsgiSend) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        method, path = scope.get("method", "WS"), scope["path"]
        account = self._account(scope)
        fault = self._faults.for_request(self._broker, endpoint=f"{method} {path}", account=account)
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send, fault)
            return
        if fault is not None and fault.kind is FaultKind.DELAY:
            # What arrived is done, though nobody may be there any more to hear of it: accept, then timeout.
            _, receive = await _kept(receive)
            await asyncio.sleep(fault.seconds)
            fault = None
        if fault is not None and fault.kind in _BEFORE:
            await self._instead(scope, send, fault)
            return
        detail = ""
        if self._broker is BrokerName.DHAN and class_of(method, path) == "chain":
            detail, receive = await _chain_asked(receive)
        if self._limits.exceeded(
            self._broker, account or "", method=method, path=path, now_ns=self._exchange.now_ns, detail=detail
        ):
            await self._error(send, 429, _TOO_MANY_TEXT)
        elif fault is None:
            await self._app(scope, receive, send)
        else:
            await self._afterwards(scope, receive, send, fault)

    def _account(self, scope: Scope) -> str | None:
        token = self._exchange.authorise(self._broker, token_in(self._broker, scope))
        return token.account if isinstance(token, Token) else None

    async def _socket(self, scope: Scope, receive: Receive, send: AsgiSend, fault: Fault | None) -> None:
        if fault is not None and fault.kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            await receive()
            await _cut(scope)
            return
        await self._app(scope, receive, send)

    async def _instead(self, scope: Scope, send: AsgiSend, fault: Fault) -> None:
        if fault.kind is FaultKind.DROP:
            await _cut(scope)
        elif fault.kind is FaultKind.HTML:
            await _answer(send, 502, "text/html", _HTML)
        elif fault.kind is FaultKind.TOO_MANY:
            await self._error(send, 429, _TOO_MANY_TEXT)
        else:
            await self._error(send, fault.status, "Internal server error")

    async def _error(self, send: AsgiSend, status: int, text: str) -> None:
        await _answer(send, status, "application/json", json.dumps(self._error_body(status, text)).encode())

    async def _afterwards(self, scope: Scope, receive: Receive, send: AsgiSend, fault: Fault) -> None:
        """Lets the face do its work and spoils its answer."""
        start: AsgiMessage = {"status": 200, "headers": []}
        body = bytearray()

        async def keep(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        await self._app(scope, receive, keep)
        match fault.kind:
            case FaultKind.ACCEPT_THEN_DROP:
                await _cut(scope)
            case FaultKind.ACCEPT_THEN_ERROR:
                await self._error(send, fault.status, "Internal server error")
            case FaultKind.EMPTY:
                await _answer(send, int(start["status"]), "application/json", b"")
            case _:
                await _begin(send, int(start["status"]), "application/json", len(body))
                await send({"type": "http.response.body", "body": bytes(body[: len(body) // 2]), "more_body": True})
                await asyncio.sleep(0.02)  # let what was written leave before the connection is cut
                await _cut(scope)


def token_in(broker: BrokerName, scope: Mapping[str, Any]) -> str | None:
    """The access token of a request, where each broker carries it."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode("latin-1")
    if broker is BrokerName.DHAN:
        return headers.get("access-token") or _parameter(query, "token")
    words = headers.get("authorization", "").split()
    if broker is BrokerName.UPSTOX:
        return words[1] if len(words) == 2 else None
    token = words[1].partition(":")[2] if len(words) == 2 else ""
    return token or _parameter(query, "access_token")


def _parameter(query: str, name: str) -> str | None:
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name and value:
            return value
    return None


async def _kept(receive: Receive) -> tuple[bytes, Receive]:
    """The body of a request, and a `receive` that tells the face the same again."""
    body, message = bytearray(), await receive()
    while message["type"] == "http.request":
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            break
        message = await receive()
    told = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def again() -> AsgiMessage:
        return told.pop() if told else await receive()

    return bytes(body), again


async def _chain_asked(receive: Receive) -> tuple[str, Receive]:
    """Which option chain a request asks for, and a `receive` that tells the face the same again."""
    body, again = await _kept(receive)
    try:
        asked = json.loads(body)
        return f"{asked['UnderlyingScrip']} {asked['Expiry']}", again
    except (ValueError, TypeError, KeyError, RecursionError):
        return "", again  # the face says what is wrong with it


async def _cut(scope: Scope) -> None:
    connection = connection_of(scope)
    if connection is not None:
        connection.cut()
        await asyncio.sleep(0)  # the server hears of it before we return


async def _begin(send: AsgiSend, status: int, content_type: str, length: int) -> None:
    headers = [(b"content-type", content_type.encode()), (b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _answer(send: AsgiSend, status: int, content_type: str, body: bytes) -> None:
    await _begin(send, status, content_type, len(body))
    await send({"type": "http.response.body", "body": body})


def _plain_error(status: int, text: str) -> object:
    return {"status": status, "error": text}
