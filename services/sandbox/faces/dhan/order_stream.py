"""The order-update socket: the client says LoginReq, then every change of its orders comes as an order_alert."""

import asyncio
import json
from collections.abc import Mapping

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from services.sandbox.faces.dhan.catalogue import Catalogues
from services.sandbox.faces.dhan.order_rows import order_alert
from services.sandbox.faces.dhan.sockets import Left, checked, close, side_by_side, texts
from services.sandbox.faults.ports import Faults
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName, Exchange, Reading, SandboxOrder, Token, TokenProblem

LOGIN_CODE = 42
_LOGIN_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.5
_POLICY = 1008


def order_stream_routes(exchange: Exchange, faults: Faults, catalogues: Catalogues) -> APIRouter:
    router = APIRouter()

    @router.websocket("/orders")
    async def order_stream(socket: WebSocket) -> None:
        await socket.accept()
        try:
            async with asyncio.timeout(_LOGIN_SECONDS):
                token = await _login(socket, exchange)
        except (Left, TimeoutError, WebSocketDisconnect):
            await close(socket, _POLICY)
            return
        out = FaultySocket(socket, faults=faults, broker=BrokerName.DHAN, stream="orders", account=token.account)
        changes = exchange.listen_orders(token.account)
        try:
            await side_by_side(_read(socket), _write(out, exchange, catalogues, token, changes))
        finally:
            exchange.unlisten(changes)
            await close(socket)

    return router


async def _login(socket: WebSocket, exchange: Exchange) -> Token:
    """Raises Left where it is refused. Partners are refused: the sandbox has none."""
    async for told in texts(socket):
        request = told.get("LoginReq")
        if isinstance(request, Mapping) and request.get("MsgCode") == LOGIN_CODE and told.get("UserType") == "SELF":
            found = checked(exchange, _text(request.get("Token")), _text(request.get("ClientId")))
            if isinstance(found, Token):
                return found
        await socket.send_text(json.dumps({"Type": "error", "Data": {"message": "Authentication Failed"}}))
        raise Left
    raise Left


async def _read(socket: WebSocket) -> None:
    async for _ in texts(socket):
        pass  # nothing more is expected of the client


async def _write(
    socket: FaultySocket, exchange: Exchange, catalogues: Catalogues, token: Token,
    changes: Reading[SandboxOrder],
) -> None:  # fmt: skip
    while True:
        try:
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                order = await changes.get()
        except TimeoutError:
            if isinstance(exchange.authorise(BrokerName.DHAN, token.value), TokenProblem):
                raise Left from None
            continue
        await socket.send_text(_message(exchange, catalogues, order))


def _message(exchange: Exchange, catalogues: Catalogues, order: SandboxOrder) -> str:
    instrument = exchange.instruments[order.request.instrument]
    last = int(exchange.quotes["price_paise"][instrument.index])
    return json.dumps(order_alert(order, instrument, catalogues(), last), separators=(",", ":"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
