"""The deep-book sockets: /twentydepth and /fulldepth (200 levels), by order of packets bid then ask in one message.

The exchange keeps five levels; those below go on from the fifth by the book's own step with the fifth's quantity, so
that a client sees as many levels as it was promised. Only the first five are what orders meet.
"""

import asyncio
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, WebSocket

from services.sandbox.faces.dhan.feed import named
from services.sandbox.faces.dhan.sockets import Left, checked, close, send_off, side_by_side, texts
from services.sandbox.faces.dhan.words import SEGMENT_CODE
from services.sandbox.faults.ports import Faults
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName, Exchange, Reading, SandboxInstrument, Token, TokenProblem
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.records import DEPTH_LEVELS, Records

SUBSCRIBE, UNSUBSCRIBE = 23, (24, 25)  # the SDK says 24, one copy of the documentation 25
BID, ASK, GOODBYE = 41, 51, 50
TOO_MANY_INSTRUMENTS, TOKEN_EXPIRED = 804, 807
_LIMITS = {20: 50, 200: 1}  # instruments of one connection
_LEVEL = np.dtype([("price", "<f8"), ("quantity", "<u4"), ("orders", "<u4")])
_HEAD = np.dtype([("length", "<i2"), ("code", "u1"), ("segment", "u1"), ("security", "<i4"), ("rows", "<u4")])
_LISTED = (Segment.NSE, Segment.NFO)
_LOOK_AGAIN_SECONDS = 0.25


def depth_routes(exchange: Exchange, faults: Faults) -> APIRouter:
    router = APIRouter()

    @router.websocket("/twentydepth")
    async def twenty(socket: WebSocket) -> None:
        await _serve(socket, exchange, faults, levels=20)

    @router.websocket("/fulldepth")
    async def full(socket: WebSocket) -> None:
        await _serve(socket, exchange, faults, levels=200)

    return router


def packet(instrument: SandboxInstrument, quote: Records, *, levels: int) -> bytes:
    """The bid packet and the ask packet of one instrument. `quote` is one QUOTE record."""
    return b"".join(_side(instrument, quote, side, levels=levels) for side in ("bid", "ask"))


def goodbye(reason: int) -> bytes:
    """Code 50 in this protocol's own header."""
    return np.array([(_HEAD.itemsize, GOODBYE, 0, 0, reason)], _HEAD).tobytes()


def _side(instrument: SandboxInstrument, quote: Records, side: str, *, levels: int) -> bytes:
    book = np.zeros(levels, _LEVEL)
    book["price"][:DEPTH_LEVELS] = quote[f"{side}_paise"] / 100
    book["quantity"][:DEPTH_LEVELS] = np.maximum(quote[f"{side}_quantity"], 0)
    book["orders"][:DEPTH_LEVELS] = np.maximum(quote[f"{side}_orders"], 0)
    last = int(quote[f"{side}_paise"][-1])
    if last > 0:
        step = max(abs(last - int(quote[f"{side}_paise"][-2])), instrument.tick_size_paise)
        below = last + np.arange(1, levels - DEPTH_LEVELS + 1) * (step if side == "ask" else -step)
        book["price"][DEPTH_LEVELS:] = np.maximum(below, 0) / 100
        book["quantity"][DEPTH_LEVELS:] = np.where(below > 0, book["quantity"][DEPTH_LEVELS - 1], 0)
        book["orders"][DEPTH_LEVELS:] = np.where(below > 0, 1, 0)
    length, code = _HEAD.itemsize + book.nbytes, BID if side == "bid" else ASK
    segment = SEGMENT_CODE[instrument.key.segment]
    head = np.array([(length, code, segment, instrument.exchange_token, levels)], _HEAD)
    return head.tobytes() + book.tobytes()


class _Wanted:
    """What one connection follows, by index."""

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.instruments: dict[int, SandboxInstrument] = {}


async def _serve(socket: WebSocket, exchange: Exchange, faults: Faults, *, levels: int) -> None:
    await socket.accept()
    token = checked(exchange, socket.query_params.get("token"), socket.query_params.get("clientId"))
    if isinstance(token, int):
        await send_off(socket, goodbye(token))
        return
    out = FaultySocket(socket, faults=faults, broker=BrokerName.DHAN, stream="feed", account=token.account)
    wanted, quotes = _Wanted(levels), exchange.listen_quotes()
    try:
        await side_by_side(_read(socket, out, exchange, wanted), _write(out, exchange, wanted, token, quotes))
    finally:
        exchange.unlisten(quotes)
        await close(socket)


async def _read(socket: WebSocket, out: FaultySocket, exchange: Exchange, wanted: _Wanted) -> None:
    async for told in texts(socket):
        listed = told.get("InstrumentList", [told])  # 200 levels: the one instrument stands in the message itself
        if told.get("RequestCode") not in (SUBSCRIBE, *UNSUBSCRIBE) or not isinstance(listed, list):
            continue
        found = [each for each in (named(exchange, one) for one in listed) if each and each.key.segment in _LISTED]
        if told["RequestCode"] in UNSUBSCRIBE:
            for each in found:
                wanted.instruments.pop(each.index, None)
            continue
        wanted.instruments.update({each.index: each for each in found})
        if len(wanted.instruments) > _LIMITS[wanted.levels]:
            await out.send_bytes(goodbye(TOO_MANY_INSTRUMENTS))
            raise Left
        await _send(out, found, exchange.quotes, wanted.levels)


async def _write(
    socket: FaultySocket, exchange: Exchange, wanted: _Wanted, token: Token, quotes: Reading[Records]
) -> None:
    while True:
        if isinstance(exchange.authorise(BrokerName.DHAN, token.value), TokenProblem):
            await socket.send_bytes(goodbye(TOKEN_EXPIRED))
            raise Left
        try:
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                batch = await quotes.get()
        except TimeoutError:
            continue
        touched = {int(index) for index in batch["instrument"]} & wanted.instruments.keys()
        await _send(socket, [wanted.instruments[index] for index in sorted(touched)], exchange.quotes, wanted.levels)


async def _send(socket: FaultySocket, instruments: Sequence[SandboxInstrument], quotes: Records, levels: int) -> None:
    for each in instruments:
        await socket.send_bytes(packet(each, quotes[each.index], levels=levels))
