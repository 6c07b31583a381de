"""The market-feed socket: `ws://…/?version=2&token=…&clientId=…&authType=2`."""

from collections.abc import Mapping

from fastapi import APIRouter, WebSocket

from services.sandbox.faces.dhan.caller import find
from services.sandbox.faces.dhan.feed_connection import (
    MESSAGE_INSTRUMENTS_MAX,
    SUBSCRIBE,
    UNSUBSCRIBE,
    FeedSubscriber,
)
from services.sandbox.faces.dhan.feed_hub import FeedHub
from services.sandbox.faces.dhan.packets import disconnect
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.sockets import Left, checked, close, send_off, side_by_side, texts
from services.sandbox.faults.ports import Faults
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName, Exchange, SandboxInstrument

TOO_MANY_INSTRUMENTS = 804


def feed_routes(exchange: Exchange, faults: Faults, hub: FeedHub) -> APIRouter:
    router = APIRouter()

    @router.websocket("/")
    async def feed(socket: WebSocket) -> None:
        """A bad login is told as Dhan does: the socket opens, says packet 50 and closes."""
        await socket.accept()
        query = socket.query_params
        token = checked(exchange, query.get("token"), query.get("clientId"))
        if isinstance(token, int):
            await send_off(socket, disconnect(token))
            return
        out = FaultySocket(
            socket, faults=faults, broker=BrokerName.DHAN, stream="feed", account=token.account, join=bytes.__add__
        )
        connection = FeedSubscriber(token, hub.listed)
        hub.attach(connection)
        try:
            await side_by_side(_read(socket, exchange, hub, connection), _write(out, connection))
        finally:
            hub.detach(connection)
            await close(socket)

    return router


async def _read(socket: WebSocket, exchange: Exchange, hub: FeedHub, connection: FeedSubscriber) -> None:
    async for told in texts(socket):
        code = told.get("RequestCode")
        if not isinstance(code, int) or (code not in SUBSCRIBE and code not in UNSUBSCRIBE):
            continue
        listed = told.get("InstrumentList")
        if not isinstance(listed, list):
            continue
        if len(listed) > MESSAGE_INSTRUMENTS_MAX:
            connection.end(TOO_MANY_INSTRUMENTS)
            continue
        found = [each for each in (named(exchange, one) for one in listed) if each is not None]
        if code in UNSUBSCRIBE:
            connection.remove(found, UNSUBSCRIBE[code])
        elif connection.add(found, SUBSCRIBE[code]):
            hub.snapshot(connection, found)
        else:
            connection.end(TOO_MANY_INSTRUMENTS)


async def _write(socket: FaultySocket, connection: FeedSubscriber) -> None:
    while True:
        await connection.changed.wait()
        for packet in connection.take():
            await socket.send_bytes(packet)
        if connection.ended:
            raise Left


def named(exchange: Exchange, told: object) -> SandboxInstrument | None:
    """The instrument of `{"ExchangeSegment", "SecurityId"}`; None for what is not listed, which Dhan passes over."""
    if not isinstance(told, Mapping):
        return None
    try:
        return find(exchange, str(told.get("ExchangeSegment")), told.get("SecurityId"))
    except DhanProblem:
        return None
