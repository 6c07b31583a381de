"""The sockets' paths: authorize, redirect to a single-use address on this host, market feed, portfolio stream.

    GET /v3/feed/market-data-feed[/authorize]          ─► /market-data-feeder/v3/feeds?code=…
    GET /v2/feed/portfolio-stream-feed[/authorize]     ─► /portfolio-stream-feeder/v2/updates?code=…&update_types=…

The addresses take a code once, or the bearer token itself. The V2 market feed is off (410), as it is at Upstox.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from services.sandbox.faces.upstox.errors import UpstoxError
from services.sandbox.faces.upstox.face import Access, Caller, Face, Route, answer, success
from services.sandbox.faces.upstox.gtt_book import Gtt
from services.sandbox.faces.upstox.portfolio_stream import text_of_gtt, texts_of_order, wanted_types
from services.sandbox.faces.upstox.subscription import FeedSubscriber, TooManyKeys
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName, SandboxOrder, Token

FEED_PATH = "/v3/feed/market-data-feed"
STREAM_PATH = "/v2/feed/portfolio-stream-feed"
_FEED_SOCKET = "/market-data-feeder/v3/feeds"
_STREAM_SOCKET = "/portfolio-stream-feeder/v2/updates"
_POLICY_VIOLATION = 1008


Address = Callable[[Face, HTTPConnection], str]


def _feed_address(face: Face, connection: HTTPConnection) -> str:
    return _address(connection, _FEED_SOCKET, {"code": face.logins.socket_code(connection)})


def _stream_address(face: Face, connection: HTTPConnection) -> str:
    types = connection.query_params.get("update_types", "order")
    query = {"code": face.logins.socket_code(connection), "update_types": types}
    return _address(connection, _STREAM_SOCKET, query)


def _address(connection: HTTPConnection, path: str, query: dict[str, str]) -> str:
    scheme = "wss" if connection.url.scheme in ("https", "wss") else "ws"
    return f"{scheme}://{connection.headers.get('host', connection.url.netloc)}{path}?{urlencode(query)}"


def _authorize(address: Address) -> Callable[[Caller], Awaitable[object]]:
    async def handler(call: Caller) -> object:
        uri = address(call.face, call.request)
        return success({"authorized_redirect_uri": uri, "authorizedRedirectUri": uri})

    return handler


def _redirect(address: Address) -> Callable[[Caller], Awaitable[object]]:
    async def handler(call: Caller) -> object:
        return RedirectResponse(address(call.face, call.request), 302)

    return handler


async def _gone(_call: Caller) -> object:
    raise UpstoxError(410, "UDAPI1137", "The V2 market data feed is switched off; use /v3/feed/market-data-feed")


ROUTES: tuple[Route, ...] = (
    ("GET", f"{FEED_PATH}/authorize", Access.TOKEN, _authorize(_feed_address)),
    ("GET", FEED_PATH, Access.TOKEN, _redirect(_feed_address)),
    ("GET", f"{STREAM_PATH}/authorize", Access.TOKEN, _authorize(_stream_address)),
    ("GET", STREAM_PATH, Access.TOKEN, _redirect(_stream_address)),
    ("GET", "/v2/feed/market-data-feed/authorize", Access.TOKEN, _gone),
    ("GET", "/v2/feed/market-data-feed", Access.TOKEN, _gone),
)


def socket_routes(face: Face) -> list[WebSocketRoute]:
    """A handshake at the public paths is redirected; the single-use addresses are the sockets themselves."""

    async def feed(socket: WebSocket) -> None:
        token = await _entered(face, socket)
        if token is not None:
            await _serve_feed(face, socket, token)

    async def stream(socket: WebSocket) -> None:
        token = await _entered(face, socket)
        if token is not None:
            wanted = wanted_types(socket.query_params.get("update_types", ""))
            await _serve_stream(face, socket, token, wanted)

    return [
        WebSocketRoute(FEED_PATH, _redirecting(face, _feed_address)),
        WebSocketRoute(STREAM_PATH, _redirecting(face, _stream_address)),
        WebSocketRoute(_FEED_SOCKET, feed),
        WebSocketRoute(_STREAM_SOCKET, stream),
    ]


def _redirecting(face: Face, address: Address) -> Callable[[WebSocket], Awaitable[None]]:
    async def redirected(socket: WebSocket) -> None:
        try:
            response: Response = RedirectResponse(address(face, socket), 302)
        except UpstoxError as error:
            response = answer(error.body, error.status)
        await socket.send_denial_response(response)

    return redirected


async def _entered(face: Face, socket: WebSocket) -> Token | None:
    """Whose socket it is. None where it was refused."""
    try:
        return face.logins.token_of_socket(socket)
    except UpstoxError as error:
        await socket.send_denial_response(answer(error.body, error.status))
        return None


def _wrapped(face: Face, socket: WebSocket, token: Token, stream: str) -> FaultySocket:
    """Two protobuf messages one after the other are one message: stacked frames are legal on this wire."""
    return FaultySocket(
        socket, faults=face.faults, broker=BrokerName.UPSTOX, stream=stream, account=token.account, join=bytes.__add__
    )


async def _serve_feed(face: Face, socket: WebSocket, token: Token) -> None:
    subscription = face.feed.join(token.account)
    try:
        await socket.accept()
        out = _wrapped(face, socket, token, "feed")
        await _first_of(_read_feed(face, socket, subscription), _send_feed(face, out, subscription, token))
        await _end(socket)
    finally:
        face.feed.leave(subscription)


async def _end(socket: WebSocket) -> None:
    """Ends what the client has not ended: its token is over, or it has too many connections."""
    if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
        await socket.close(_POLICY_VIOLATION)


async def _read_feed(face: Face, socket: WebSocket, subscription: FeedSubscriber) -> None:
    """Requests come as JSON in binary frames; text frames are read too. Anything else is passed over."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            request = json.loads(message.get("bytes") or message.get("text") or b"null")
        except (ValueError, RecursionError):
            continue
        try:
            face.feed.handle(subscription, request)
        except TooManyKeys as problem:
            await socket.close(_POLICY_VIOLATION, str(problem))
            return


async def _send_feed(face: Face, socket: FaultySocket, subscription: FeedSubscriber, token: Token) -> None:
    """Until the connection has to end: a socket does not outlive its login."""
    while (frame := await subscription.next_frame()) is not None and face.logins.valid(token):
        await socket.send_bytes(frame)


async def _serve_stream(face: Face, socket: WebSocket, token: Token, wanted: frozenset[str]) -> None:
    """Order updates of the account, whoever placed the orders; GTT orders where asked."""
    account = token.account
    texts: asyncio.Queue[SandboxOrder | Gtt] = face.exchange.listen_orders(account)  # type: ignore[assignment]

    def changed(gtt: Gtt) -> None:
        if gtt.account == account and "gtt_order" in wanted and not texts.full():
            texts.put_nowait(gtt)

    face.gtts.on_change.append(changed)
    try:
        await socket.accept()
        out = _wrapped(face, socket, token, "orders")
        await _first_of(_read_nothing(socket), _send_updates(face, out, texts, wanted, token))
        await _end(socket)
    finally:
        face.gtts.on_change.remove(changed)
        face.exchange.unlisten(texts)  # type: ignore[arg-type]


async def _read_nothing(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _send_updates(
    face: Face, socket: FaultySocket, changes: "asyncio.Queue[SandboxOrder | Gtt]", wanted: frozenset[str],
    token: Token,
) -> None:  # fmt: skip
    filled: dict[str, int] = {}
    while True:
        change = await changes.get()
        if not face.logins.valid(token):
            return
        if isinstance(change, Gtt):
            texts = [text_of_gtt(face.exchange, change)]
        else:
            before = filled.get(change.order_id, 0)
            texts = texts_of_order(face.exchange, change, wanted, filled_before=before)
            filled[change.order_id] = change.filled_quantity
        for text in texts:
            await socket.send_text(text)


async def _first_of(*works: Awaitable[None]) -> None:
    """Runs until one of them ends; the others are cancelled. A client that has gone is no error."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        error = task.exception()
        # RuntimeError is what the socket raises when one side sends after the other has left.
        if error is not None and not isinstance(error, WebSocketDisconnect | RuntimeError | OSError):
            raise error
