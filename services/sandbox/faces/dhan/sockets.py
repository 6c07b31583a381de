"""What the face's three sockets share: who logs in, and reading and writing side by side until either ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable

from fastapi import WebSocket, WebSocketDisconnect

from services.sandbox.ports import BrokerName, Exchange, Token, TokenProblem

DISCONNECT_REQUEST = 12
BAD_LOGIN, TOKEN_EXPIRED, BAD_TOKEN, WRONG_CLIENT = 808, 807, 809, 810
_REASONS = {TokenProblem.MISSING: BAD_LOGIN, TokenProblem.EXPIRED: TOKEN_EXPIRED, TokenProblem.UNKNOWN: BAD_TOKEN}


class Left(Exception):
    """The client has gone, or was sent away."""


def checked(exchange: Exchange, token: str | None, client: str | None) -> Token | int:
    """The login, or the number that says what is wrong with it."""
    found = exchange.authorise(BrokerName.DHAN, token)
    if isinstance(found, TokenProblem):
        return _REASONS[found]
    return found if client == found.account else WRONG_CLIENT


async def texts(socket: WebSocket) -> AsyncIterator[dict[str, object]]:
    """The client's JSON objects. Raises Left when it goes or asks to; what is no JSON object is passed over."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Left
        try:
            told = json.loads(message.get("text") or "null")
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            if told.get("RequestCode") == DISCONNECT_REQUEST:
                raise Left
            yield told


async def side_by_side(*parts: Awaitable[None]) -> None:
    """Runs them until the first ends, by Left or because the socket is gone; then the others end too."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                tasks.create_task(_whole(part))
    except* (Left, WebSocketDisconnect, RuntimeError):
        pass  # RuntimeError is what the socket raises when one of us sends after the other side has left


async def _whole(part: Awaitable[None]) -> None:
    await part
    raise Left


async def close(socket: WebSocket, code: int = 1000) -> None:
    """Nothing where it is closed already."""
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code)


async def send_off(socket: WebSocket, last: bytes) -> None:
    """Says a last packet, where somebody is still there to hear it, and closes."""
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_bytes(last)
    await close(socket)
