"""Dhan's live market data behind the feed's port.

    subscribe ─► spread over connections (5,000 each, 5 of them) ─► messages of at most 100 instruments
    frames of all connections ─► one queue ─► whatever is there, decoded in one step ─► batches()

Invariants (tested): after a reconnect everything still wanted is subscribed again; no connection carries more than its
limit; the token, which Dhan wants in the address, is in no text.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.connections import frames_of
from tradebus.brokers.dhan.decoder import DhanDecoder, feed_key
from tradebus.brokers.dhan.settings import DhanSettings
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import Frame, ReconnectingSocket, Send, SocketAddress, SocketTiming
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock, WallClock
from tradebus.kernel.errors import InvalidInput

CONNECTIONS_MAX = 5
CONNECTION_INSTRUMENTS_MAX = 5_000
MESSAGE_INSTRUMENTS_MAX = 100
_SUBSCRIBE = {FeedMode.PRICE: 15, FeedMode.QUOTE: 17, FeedMode.FULL: 21}
_UNSUBSCRIBE = {mode: code + 1 for mode, code in _SUBSCRIBE.items()}
_GOODBYE = json.dumps({"RequestCode": 12})
_QUEUE_TURNS = 64  # a consumer this far behind stops the reading, and TCP the sender

Arrival = list[Frame] | FeedEvent | None  # None: this connection has ended for good


@dataclass(slots=True)
class _Connection:
    """One socket and what it carries."""

    socket: ReconnectingSocket
    wanted: dict[int, tuple[ListedInstrument, FeedMode]] = field(default_factory=dict)
    pump: "asyncio.Task[None] | None" = None

    async def say_all(self, send: Send) -> None:
        for message in _messages(list(self.wanted.values()), _SUBSCRIBE):
            await send(message)


class DhanFeed:
    """`connections` is how many of Dhan's five may be used here; another feed of the same login needs the others."""

    def __init__(
        self,
        settings: DhanSettings,
        *,
        client: DhanClient | None = None,
        clock: Clock | None = None,
        connections: int = CONNECTIONS_MAX,
        connection_instruments: int = CONNECTION_INSTRUMENTS_MAX,
        timing: SocketTiming | None = None,
    ) -> None:
        self._client = client or DhanClient(settings)
        self._clock = clock or WallClock()
        self._limit, self._each = min(connections, CONNECTIONS_MAX), connection_instruments
        self._timing = timing
        self._decoder = DhanDecoder()
        self._connections: list[_Connection] = []
        self._home: dict[int, _Connection] = {}
        self._arrived: asyncio.Queue[Arrival] = asyncio.Queue(_QUEUE_TURNS)
        self._running = self._closed = False
        self.skipped = 0  # packets that nobody could read or asked for

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Raises InvalidInput, with nothing subscribed, beyond Dhan's limits or for what its feed cannot name."""
        self._check(instruments)
        self._decoder.add(instruments)
        changed: dict[int, tuple[_Connection, list[int]]] = {}
        for instrument, listed in instruments.items():
            home = self._home.get(instrument) or self._with_room()
            before = home.wanted.get(instrument)
            if before == (listed, mode):
                continue
            if before is not None:
                await self._say(home, [before], _UNSUBSCRIBE)
            home.wanted[instrument] = (listed, mode)
            self._home[instrument] = home
            changed.setdefault(id(home), (home, []))[1].append(instrument)
        for home, added in changed.values():
            await self._say(home, [home.wanted[each] for each in added if each in home.wanted], _SUBSCRIBE)
        if self._running:
            self._start_pumps()

    async def unsubscribe(self, instruments: Sequence[int]) -> None:
        """What is not subscribed is passed over."""
        self._decoder.remove(instruments)
        dropped: dict[int, tuple[_Connection, list[tuple[ListedInstrument, FeedMode]]]] = {}
        for instrument in instruments:
            home = self._home.pop(instrument, None)
            if home is not None:
                dropped.setdefault(id(home), (home, []))[1].append(home.wanted.pop(instrument))
        for home, wanted in dropped.values():
            await self._say(home, wanted, _UNSUBSCRIBE)

    async def batches(self) -> AsyncIterator[Records | FeedEvent]:
        """Ends after `close`, or when the last connection was refused for good."""
        if not self._connections and not self._closed:
            self._with_room()
        self._running = True
        self._start_pumps()
        try:
            while True:
                arrived = [await self._arrived.get()]
                while not self._arrived.empty():
                    arrived.append(self._arrived.get_nowait())
                async for item in self._read(arrived):
                    yield item
                if None in arrived:
                    self._raise_defects()
                if self._closed or (None in arrived and not any(map(_alive, self._connections))):
                    return
        finally:
            await self._stop_pumps()

    async def close(self) -> None:
        self._closed = True
        for connection in self._connections:
            await connection.socket.send(_GOODBYE)
            await connection.socket.close()
        if not self._arrived.full():
            self._arrived.put_nowait(None)

    async def drop(self) -> None:
        """Gives every connection up; the next ones follow (for one that is open and dead)."""
        for connection in self._connections:
            await connection.socket.drop()

    async def _read(self, arrived: Sequence[Arrival]) -> AsyncIterator[Records | FeedEvent]:
        """Data and events of one turn in the order they came, data between two events as one batch."""
        frames: list[bytes] = []
        for item in [*arrived, None]:
            if isinstance(item, list):
                frames.extend(frame for frame in item if isinstance(frame, bytes))
                for frame in item:
                    if isinstance(frame, str):
                        yield FeedEvent(FeedEventKind.NOTICE, f"dhan-feed: {self._client.redactor.text(frame)[:200]}")
                continue
            if frames:
                decoded = self._decoder.decode_all(frames, received_ns=self._clock.now_ns())
                frames = []
                self.skipped += decoded.skipped
                if len(decoded.quotes):
                    yield decoded.quotes
                for event in decoded.events:
                    yield event
                    await self._judge(event)
            if item is not None:
                yield item

    async def _judge(self, event: FeedEvent) -> None:
        """Dhan said, in a packet, that this login will not do: with a new token the sockets come back, without one
        coming back would only be refused again."""
        if event.kind is FeedEventKind.REFUSED and not await self._client.renew():
            for connection in self._connections:
                await connection.socket.close()

    def _check(self, instruments: Mapping[int, ListedInstrument]) -> None:
        for listed in instruments.values():
            feed_key(listed)
        total = len(self._home.keys() | instruments.keys())
        if total > self._limit * self._each:
            raise InvalidInput(
                f"dhan feed: {total:,} instruments, but {self._limit} connections carry {self._each:,} each; "
                "subscribe fewer, or split them over several logins"
            )

    def _with_room(self) -> _Connection:
        for connection in self._connections:
            if len(connection.wanted) < self._each:
                return connection
        number = len(self._connections) + 1
        made: list[_Connection] = []

        async def opened(send: Send) -> None:
            await made[0].say_all(send)

        socket = ReconnectingSocket(
            f"dhan-feed-{number}", address=self._address, opened=opened, redactor=self._client.redactor,
            timing=self._timing, seed=number,
        )  # fmt: skip
        made.append(_Connection(socket))
        self._connections.append(made[0])
        return made[0]

    async def _address(self) -> SocketAddress:
        query = {
            "version": "2",
            "token": self._client.token,
            "clientId": self._client.settings.client_id,
            "authType": "2",
        }
        return SocketAddress(f"{self._client.settings.endpoints.feed}?{urlencode(query)}")

    async def _say(
        self, home: _Connection, wanted: Sequence[tuple[ListedInstrument, FeedMode]], codes: Mapping[FeedMode, int]
    ) -> None:
        """Now where connected; where not, the next connection says everything that is wanted then."""
        for message in _messages(wanted, codes):
            if not await home.socket.send(message):
                return

    def _start_pumps(self) -> None:
        for connection in self._connections:
            if connection.pump is None and not self._closed:
                connection.pump = asyncio.create_task(self._pump(connection))

    async def _pump(self, connection: _Connection) -> None:
        try:
            async for item in frames_of(connection.socket, self._client):
                await self._arrived.put(item)
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self._arrived.put(None)  # wakes `batches`, which then raises it
            raise
        await self._arrived.put(None)

    def _raise_defects(self) -> None:
        """Raises what ended a pump, other than its connection's end: always a defect, never Dhan's doing."""
        for connection in self._connections:
            if connection.pump is not None and connection.pump.done():
                connection.pump.result()

    async def _stop_pumps(self) -> None:
        pumps = [connection.pump for connection in self._connections if connection.pump is not None]
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._running = False


def _alive(connection: _Connection) -> bool:
    return connection.pump is not None and not connection.pump.done()


def _messages(wanted: Sequence[tuple[ListedInstrument, FeedMode]], codes: Mapping[FeedMode, int]) -> Iterable[str]:
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
