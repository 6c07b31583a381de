"""Dhan's live market data behind the feed's port.

    subscribe ─► spread over connections
    frames of all connections ─► one queue ─► whatever is there, decoded in one step ─► batches()

Invariants (tested): after a reconnect everything still wanted is subscribed again; no connection carries more than its
limit; the token, which Dhan wants in the address, is in no text.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from tradebus.brokers.dhan.client import DhanClient
from tradebus.brokers.dhan.connections import CONNECTION_INSTRUMENTS_MAX, CONNECTIONS_MAX, Arrival, DhanConnections
from tradebus.brokers.dhan.decoder import DhanDecoder, feed_key
from tradebus.brokers.feed import FeedEvent, FeedEventKind, FeedMode
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import SocketTiming
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock


class DhanFeed:
    """`connections` is how many of Dhan's five may be used here; another feed of the same login needs the others."""

    def __init__(
        self,
        client: DhanClient,
        *,
        clock: Clock | None = None,
        connections: int = CONNECTIONS_MAX,
        connection_instruments: int = CONNECTION_INSTRUMENTS_MAX,
        timing: SocketTiming | None = None,
    ) -> None:
        self._client = client
        self._clock = clock or client.timers
        self._connections = DhanConnections(self._client, limit=connections, each=connection_instruments, timing=timing)
        self._decoder = DhanDecoder()
        self._running = self._closed = False
        self.skipped = 0  # packets that nobody could read or asked for

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Raises InvalidInput, with nothing subscribed, beyond Dhan's limits or for what its feed cannot name."""
        for listed in instruments.values():
            feed_key(listed)
        self._connections.check(instruments)
        self._decoder.add(instruments)
        await self._connections.add(instruments, mode)
        if self._running and not self._closed:
            self._connections.start()

    async def unsubscribe(self, instruments: Sequence[int]) -> None:
        """What is not subscribed is passed over."""
        self._decoder.remove(instruments)
        await self._connections.remove(instruments)

    async def batches(self) -> AsyncIterator[Records | FeedEvent]:
        """Ends after `close`, or when the last connection was refused for good."""
        self._running = True
        if not self._closed:
            self._connections.start()
        queue = self._connections.arrived
        try:
            while True:
                arrived = [await queue.get()]
                while not queue.empty():
                    arrived.append(queue.get_nowait())
                async for item in self._read(arrived):
                    yield item
                if None in arrived:
                    self._connections.raise_defects()
                if self._closed or (None in arrived and not self._connections.any_alive):
                    return
        finally:
            await self._connections.stop()
            self._running = False

    async def close(self) -> None:
        self._closed = True
        await self._connections.close(goodbye=True)
        if not self._connections.arrived.full():
            self._connections.arrived.put_nowait(None)

    async def drop(self) -> None:
        """Gives every connection up; the next ones follow (for one that is open and dead)."""
        await self._connections.drop()

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
            await self._connections.close()
