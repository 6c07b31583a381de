"""The ticker: prices as binary frames and order updates as texts, on one socket at `/`.

quotes of the exchange ─► whatever has arrived since the last turn, as one batch ─► one frame per connection
"""

import asyncio
import json
from collections import Counter

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.types import Scope

from services.sandbox.faces.kite import frames
from services.sandbox.faces.kite.followers import Followers
from services.sandbox.faces.kite.logins import Caller, Logins
from services.sandbox.faces.kite.replies import ErrorType, KiteError, failure
from services.sandbox.faces.kite.rows import postback_row
from services.sandbox.faces.kite.streaming import StreamedOrders
from services.sandbox.faces.kite.subscriptions import BadMessage, Indexes, Subscriptions
from services.sandbox.faces.kite.words import stamp
from services.sandbox.faults.ports import Faults
from services.sandbox.faults.sockets import FaultySocket
from services.sandbox.ports import BrokerName, Exchange, Reading, SandboxOrder, Token
from tradebus.contracts.records import Records
from tradebus.kernel.clock import monotonic_ns

CONNECTIONS_MAX = 3  # per API key
_HEARTBEAT_SECONDS = 1.0
_TOKEN_ENDED = 1008


def ticker_routes(exchange: Exchange, faults: Faults, logins: Logins, followers: Followers) -> APIRouter:
    router = APIRouter()
    tokens = TokenTable(exchange)
    connections: Counter[str] = Counter()

    @router.websocket("/")
    async def ticker(socket: WebSocket) -> None:
        """403 at the handshake for a token that is not valid; the client's own text says no more."""
        api_key = socket.query_params.get("api_key", "")
        try:
            caller = logins.check(api_key, socket.query_params.get("access_token", ""))
        except KiteError:
            await socket.close()  # before the handshake is done, this is a 403
            return
        if connections[api_key] >= CONNECTIONS_MAX:
            text = f"at most {CONNECTIONS_MAX} connections per API key"
            await socket.send_denial_response(failure(KiteError(ErrorType.NETWORK, text, code=429)))
            return
        connections[api_key] += 1
        try:
            await socket.accept()
            await TickerConnection(exchange, faults, socket, caller, logins, followers, tokens).run()
        finally:
            connections[api_key] -= 1

    return router


class TokenTable:
    """Kite's tokens by instrument index, uint32 [instruments]; grows with the listing."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._tokens: npt.NDArray[np.uint32] = np.zeros(0, np.uint32)

    def get(self) -> npt.NDArray[np.uint32]:
        listed = self._exchange.instruments
        if len(listed) != len(self._tokens):
            self._tokens = np.array([instrument.kite_token for instrument in listed], np.uint32)
        return self._tokens


class _Left(Exception):
    """The client has gone, or was sent away."""


class Outlet:
    """Sends; raises _Left where the client has gone (starlette says so in several ways)."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    @property
    def scope(self) -> Scope:
        return self._socket.scope

    async def send_bytes(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError):
            raise _Left from None

    async def send_text(self, data: str) -> None:
        try:
            await self._socket.send_text(data)
        except (WebSocketDisconnect, RuntimeError):
            raise _Left from None

    async def close(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except (WebSocketDisconnect, RuntimeError):
            raise _Left from None


class TickerConnection:
    """One client."""

    def __init__(
        self, exchange: Exchange, faults: Faults, socket: WebSocket, caller: Caller, logins: Logins,
        followers: Followers, tokens: TokenTable,
    ) -> None:  # fmt: skip
        self._exchange, self._socket, self._caller = exchange, socket, caller
        account, kite = caller.account, BrokerName.KITE
        outlet = self._outlet = Outlet(socket)
        self._prices = FaultySocket(
            outlet, faults=faults, broker=kite, stream="feed", account=account, join=frames.joined
        )
        self._texts = FaultySocket(outlet, faults=faults, broker=kite, stream="orders", account=account)
        self._logins, self._followers, self._tokens = logins, followers, tokens
        self._subscriptions = Subscriptions(exchange)
        self._orders = StreamedOrders(exchange.orders(caller.account))

    async def run(self) -> None:
        """Until either side ends it."""
        quotes = self._exchange.listen_quotes()
        changes = self._exchange.listen_orders(self._caller.account)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read())
                tasks.create_task(self._send_prices(quotes))
                tasks.create_task(self._send_orders(changes))
        except* _Left:
            pass
        finally:
            self._exchange.unlisten(quotes)
            self._exchange.unlisten(changes)

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Left
            text = message.get("text") or (message.get("bytes") or b"").decode("utf-8", "replace")
            try:
                await self._send_batch(self._snapshot(self._subscriptions.apply(text)))
            except BadMessage as error:
                await self._send_text({"type": "error", "data": str(error)})

    def _snapshot(self, instruments: Indexes) -> Records:
        return self._exchange.quotes[instruments]

    async def _send_prices(self, queue: Reading[Records]) -> None:
        sent_ns = monotonic_ns()
        while True:
            batches: list[Records] = []
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    batches = [await queue.get()]
            except TimeoutError:
                pass
            while not queue.empty():
                batches.append(queue.get_nowait())
            if batches and await self._send_batch(batches[0] if len(batches) == 1 else np.concatenate(batches)):
                sent_ns = monotonic_ns()
            elif monotonic_ns() - sent_ns >= _HEARTBEAT_SECONDS * 1e9:  # also while only others' quotes move
                await self._prices.send_bytes(frames.HEARTBEAT)
                sent_ns = monotonic_ns()
            await self._check_token()

    async def _send_batch(self, quotes: Records) -> bool:
        """Whether there was anything in it for this socket."""
        sent = False
        self._subscriptions.extend(len(self._exchange.instruments))
        for start in range(0, len(quotes), frames.PACKETS_MAX):
            part = quotes[start : start + frames.PACKETS_MAX]
            frame = frames.encode(part, self._subscriptions.modes, self._tokens.get())
            if frame:
                await self._prices.send_bytes(frame)
                sent = True
        return sent

    async def _check_token(self) -> None:
        """A socket does not outlive its login."""
        if not isinstance(self._exchange.authorise(BrokerName.KITE, self._caller.token), Token):
            await self._send_text({"type": "error", "data": "Session has expired: log in again"})
            await self._outlet.close(_TOKEN_ENDED)
            raise _Left

    async def _send_orders(self, queue: Reading[SandboxOrder]) -> None:
        while True:
            order = await queue.get()
            word = self._orders.word(order)
            if word is None:
                continue
            checksum = self._logins.order_checksum(order.order_id, stamp(order.updated_ns))
            data = postback_row(self._exchange, order, self._followers, word=word, checksum=checksum)
            await self._send_text({"type": "order", "id": "", "data": data})

    async def _send_text(self, message: dict[str, object]) -> None:
        await self._texts.send_text(json.dumps(message, separators=(",", ":")))
