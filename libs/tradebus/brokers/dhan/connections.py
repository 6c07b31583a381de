"""Dhan's sockets: a refused login is renewed once, where it can be; the market feed's instruments lie on several.

add ─► the connection they are on, or one with room (5,000 each, 5 of them) ─► messages of at most 100 instruments
frames and events of all connections ─► `arrived`
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import Frame, ReconnectingSocket, Send, SocketAddress, SocketTiming
from tradebus.kernel.errors import InvalidInput

CONNECTIONS_MAX = 5
CONNECTION_INSTRUMENTS_MAX = 5_000
MESSAGE_INSTRUMENTS_MAX = 100
_SUBSCRIBE = {FeedMode.PRICE: 15, FeedMode.QUOTE: 17, FeedMode.FULL: 21}
_UNSUBSCRIBE = {mode: code + 1 for mode, code in _SUBSCRIBE.items()}
_GOODBYE = json.dumps({"RequestCode": 12})
_QUEUE_TURNS = 64  # a consumer this far behind stops the reading, and TCP the sender

Arrival = list[Frame] | FeedEvent | None  # None: this connection has ended for good
Subscribed = tuple[ListedInstrument, FeedMode]


async def frames_of(socket: ReconnectingSocket, client: DhanClient) -> AsyncGenerator[list[Frame] | FeedEvent, None]:
    """The socket's frames and events. A refusal ends it, unless a new token is to be had, which is tried once between
    two connections; it is then told as a disconnection."""
    renewed, again = False, True
    while again:
        again = False
        async for item in socket.frames():
            if isinstance(item, FeedEvent) and item.kind is FeedEventKind.CONNECTED:
                renewed = False
            if isinstance(item, FeedEvent) and item.kind is FeedEventKind.REFUSED:
                again = renewed = not renewed and await client.renew()
                if again:
                    yield replace(item, kind=FeedEventKind.DISCONNECTED)
                    continue
            yield item


@dataclass(slots=True)
class _Connection:
    """One socket and what it carries."""

    socket: ReconnectingSocket
    wanted: dict[int, Subscribed] = field(default_factory=dict)
    pump: "asyncio.Task[None] | None" = None

    @property
    def alive(self) -> bool:
        return self.pump is not None and not self.pump.done()

    async def say_all(self, send: Send) -> None:
        for message in _messages(list(self.wanted.values()), _SUBSCRIBE):
            await send(message)

    async def say(self, wanted: Sequence[Subscribed], codes: Mapping[FeedMode, int]) -> None:
        """Now where connected; where not, the next connection says everything that is wanted then."""
        for message in _messages(wanted, codes):
            if not await self.socket.send(message):
                return


class DhanConnections:
    """The market feed's connections, at most `limit`, each with at most `each` instruments."""

    def __init__(self, client: DhanClient, *, limit: int, each: int, timing: SocketTiming | None) -> None:
        self._client, self._limit, self._each, self._timing = client, min(limit, CONNECTIONS_MAX), each, timing
        self._all: list[_Connection] = []
        self._home: dict[int, _Connection] = {}
        self.arrived: asyncio.Queue[Arrival] = asyncio.Queue(_QUEUE_TURNS)

    def check(self, instruments: Iterable[int]) -> None:
        """Raises InvalidInput where they do not fit beside those that are here."""
        total = len(self._home.keys() | set(instruments))
        if total > self._limit * self._each:
            raise InvalidInput(
                f"dhan feed: {total:,} instruments, but {self._limit} connections carry {self._each:,} each; "
                "subscribe fewer, or split them over several logins"
            )

    async def add(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Those that are here in another mode change it."""
        changed: dict[int, tuple[_Connection, list[int]]] = {}
        for instrument, listed in instruments.items():
            home = self._home.get(instrument) or self._with_room()
            before = home.wanted.get(instrument)
            if before == (listed, mode):
                continue
            if before is not None:
                await home.say([before], _UNSUBSCRIBE)
            home.wanted[instrument] = (listed, mode)
            self._home[instrument] = home
            changed.setdefault(id(home), (home, []))[1].append(instrument)
        for home, added in changed.values():
            await home.say([home.wanted[each] for each in added if each in home.wanted], _SUBSCRIBE)

    async def remove(self, instruments: Sequence[int]) -> None:
        """What is not here is passed over."""
        dropped: dict[int, tuple[_Connection, list[Subscribed]]] = {}
        for instrument in instruments:
            home = self._home.pop(instrument, None)
            if home is not None:
                dropped.setdefault(id(home), (home, []))[1].append(home.wanted.pop(instrument))
        for home, wanted in dropped.values():
            await home.say(wanted, _UNSUBSCRIBE)

    def start(self) -> None:
        """Runs what is not running; one at least, so that a login which will not do is told of."""
        if not self._all:
            self._with_room()
        for connection in self._all:
            if connection.pump is None:
                connection.pump = asyncio.create_task(self._pump(connection))

    @property
    def any_alive(self) -> bool:
        return any(connection.alive for connection in self._all)

    def raise_defects(self) -> None:
        """Raises what ended a connection, other than its own end: always a defect, never Dhan's doing."""
        for connection in self._all:
            if connection.pump is not None and connection.pump.done():
                connection.pump.result()

    async def stop(self) -> None:
        pumps = [connection.pump for connection in self._all if connection.pump is not None]
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def close(self, *, goodbye: bool = False) -> None:
        """None of them comes back."""
        for connection in self._all:
            if goodbye:
                await connection.socket.send(_GOODBYE)
            await connection.socket.close()

    async def drop(self) -> None:
        """Gives every connection up; the next ones follow."""
        for connection in self._all:
            await connection.socket.drop()

    def _with_room(self) -> _Connection:
        for connection in self._all:
            if len(connection.wanted) < self._each:
                return connection
        number = len(self._all) + 1
        made: list[_Connection] = []

        async def opened(send: Send) -> None:
            await made[0].say_all(send)

        socket = ReconnectingSocket(
            f"dhan-feed-{number}", address=self._address, opened=opened, redactor=self._client.redactor,
            timers=self._client.timers, timing=self._timing, seed=number,
        )  # fmt: skip
        made.append(_Connection(socket))
        self._all.append(made[0])
        return made[0]

    async def _address(self) -> SocketAddress:
        query = {
            "version": "2",
            "token": self._client.token,
            "clientId": self._client.settings.client_id,
            "authType": "2",
        }
        return SocketAddress(f"{self._client.settings.endpoints.feed}?{urlencode(query)}")

    async def _pump(self, connection: _Connection) -> None:
        try:
            async for item in frames_of(connection.socket, self._client):
                await self.arrived.put(item)
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self.arrived.put(None)  # wakes the reader, which then raises it
            raise
        await self.arrived.put(None)


def _messages(wanted: Sequence[Subscribed], codes: Mapping[FeedMode, int]) -> Iterable[str]:
    """Requests of at most 100 instruments, by mode."""
    for mode, code in codes.items():
        listed = [each for each, its_mode in wanted if its_mode is mode]
        for start in range(0, len(listed), MESSAGE_INSTRUMENTS_MAX):
            part = listed[start : start + MESSAGE_INSTRUMENTS_MAX]
            yield json.dumps(
                {
                    "RequestCode": code,
                    "InstrumentCount": len(part),
                    "InstrumentList": [
                        {"ExchangeSegment": each.broker_segment, "SecurityId": each.token} for each in part
                    ],
                }
            )
