"""Live market data from Kite: up to three ticker connections as one feed.

    subscribe ─► the first connection with room ─► on every (re)connect: subscribe, mode ─► frames ─► one QUOTE batch

Kite allows 3,000 instruments on a connection and three connections of an API key, order updates included.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from tradebus.brokers.feed import FeedEvent, FeedMode
from tradebus.brokers.kite.client import KiteClient
from tradebus.brokers.kite.decoder import SEGMENTS, TOKEN_MAX, KiteDecoder
from tradebus.brokers.kite.ticker import Ticker
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.sockets import Frame, Send, SocketTiming
from tradebus.contracts.records import Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput

INSTRUMENTS_PER_CONNECTION, CONNECTIONS_MAX = 3_000, 3
_MODES = {FeedMode.PRICE: "ltp", FeedMode.QUOTE: "quote", FeedMode.FULL: "full"}
_PENDING_MAX = 1_000  # turns of a connection that wait for the consumer; then reading stops, and TCP the sender


@dataclass(slots=True)
class _Line:
    """One connection and what it is subscribed to."""

    ticker: Ticker
    decoder: KiteDecoder = field(default_factory=KiteDecoder)
    instruments: dict[int, int] = field(default_factory=dict)  # by token
    modes: dict[int, FeedMode] = field(default_factory=dict)  # by token


class KiteFeed:
    """`connections` below three leaves some to others of the same API key. `skipped` counts packets nobody can read
    or asked for."""

    def __init__(
        self,
        client: KiteClient,
        *,
        connections: int = CONNECTIONS_MAX,
        timing: SocketTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Raises InvalidInput for more connections than Kite allows."""
        if not 1 <= connections <= CONNECTIONS_MAX:
            raise InvalidInput(f"kite connections: {connections} is not 1 to {CONNECTIONS_MAX}")
        self._client, self._clock = client, clock or client.timers
        self._connections, self._timing = connections, timing
        self._lines: list[_Line] = []
        self._token_of: dict[int, int] = {}
        self._arrived: asyncio.Queue[Records | FeedEvent | None] = asyncio.Queue(_PENDING_MAX)
        self._pumps: list[asyncio.Task[None]] = []
        self._running, self._closed = False, asyncio.Event()
        self.skipped = 0

    async def subscribe(self, instruments: Mapping[int, ListedInstrument], mode: FeedMode) -> None:
        """Again with another mode changes the mode. Nothing is subscribed where this raises InvalidInput."""
        tokens = {instrument: _token(listing) for instrument, listing in instruments.items()}
        self._refuse_clashes(tokens, instruments)
        new = [instrument for instrument in tokens if instrument not in self._token_of]
        room = self._connections * INSTRUMENTS_PER_CONNECTION - len(self._token_of)
        if len(new) > room:
            raise InvalidInput(
                f"kite subscription: {len(new)} more instruments, and room for {room}: Kite allows "
                f"{INSTRUMENTS_PER_CONNECTION:,} on each of {self._connections} connections"
            )
        for instrument in new:
            line = next((line for line in self._lines if len(line.instruments) < INSTRUMENTS_PER_CONNECTION), None)
            line = line or self._new_line()
            line.instruments[tokens[instrument]] = instrument
            self._token_of[instrument] = tokens[instrument]
        wanted = set(tokens.values())
        for line in self._lines:
            here = sorted(wanted & line.instruments.keys())
            if here:
                line.decoder.follow(line.instruments)
                line.modes |= dict.fromkeys(here, mode)
                for text in _subscriptions(here, mode):
                    await line.ticker.send(text)

    async def unsubscribe(self, instruments: Sequence[int]) -> None:
        """Those that are not subscribed are passed over."""
        tokens = {self._token_of.pop(instrument) for instrument in instruments if instrument in self._token_of}
        for line in self._lines:
            here = sorted(tokens & line.instruments.keys())
            if here:
                for token in here:
                    del line.instruments[token], line.modes[token]
                line.decoder.follow(line.instruments)
                await line.ticker.send(_words("unsubscribe", here))

    async def batches(self) -> AsyncIterator[Records | FeedEvent]:
        """All records that have arrived since the last turn as one batch, and events in their place among them. Ends
        after `close`, or when Kite has refused every connection."""
        self._running = True
        for line in self._lines:
            self._start(line)
        try:
            while not self._closed.is_set():
                for item in _joined(await self._turn()):
                    yield item
                if self._pumps and all(pump.done() for pump in self._pumps) and self._arrived.empty():
                    for pump in self._pumps:
                        pump.result()  # a defect in here is not an end
                    return
        finally:
            self._running = False
            await self._stop()

    async def close(self) -> None:
        """Ends `batches`."""
        self._closed.set()
        for line in self._lines:
            await line.ticker.close()
        if self._arrived.empty():
            self._arrived.put_nowait(None)

    async def drop(self) -> None:
        """Gives every connection up; the next ones follow (for one that is open and dead)."""
        for line in self._lines:
            await line.ticker.drop()

    def _refuse_clashes(self, tokens: Mapping[int, int], instruments: Mapping[int, ListedInstrument]) -> None:
        owner = {token: instrument for instrument, token in self._token_of.items()}
        for instrument, token in tokens.items():
            other = owner.setdefault(token, instrument)
            if other != instrument or self._token_of.get(instrument, token) != token:
                raise InvalidInput(
                    f"kite subscription: instrument {instrument} ({instruments[instrument].symbol}, token {token}) "
                    f"clashes with what instrument {other} is subscribed to; unsubscribe that first"
                )

    def _new_line(self) -> _Line:
        number = len(self._lines)
        line: _Line

        async def opened(send: Send) -> None:
            for mode in FeedMode:
                tokens = sorted(token for token, wanted in line.modes.items() if wanted is mode)
                for text in _subscriptions(tokens, mode) if tokens else ():
                    await send(text)

        ticker = Ticker(f"kite feed {number + 1}", self._client, opened=opened, timing=self._timing, seed=number)
        line = _Line(ticker)
        self._lines.append(line)
        if self._running:
            self._start(line)
        return line

    def _start(self, line: _Line) -> None:
        self._pumps.append(asyncio.create_task(self._pump(line), name="kite-feed"))

    async def _pump(self, line: _Line) -> None:
        try:
            async with aclosing(line.ticker.frames()) as items:
                async for item in items:
                    for arrived in [item] if isinstance(item, FeedEvent) else self._decode(line, item):
                        await self._arrived.put(arrived)
        finally:
            if not self._arrived.full():
                self._arrived.put_nowait(None)  # wakes `batches`, which looks whether anybody is left

    def _decode(self, line: _Line, frames: Sequence[Frame]) -> list[Records | FeedEvent]:
        decoded = line.decoder.decode_all(frames, received_ns=self._clock.now_ns())
        self.skipped += decoded.skipped
        events = [FeedEvent(event.kind, self._client.redactor.text(event.text)) for event in decoded.events]
        return [decoded.quotes, *events] if len(decoded.quotes) else list(events)

    async def _turn(self) -> list[Records | FeedEvent]:
        """All that has arrived; waits for the first."""
        items = [await self._arrived.get()]
        while not self._arrived.empty():
            items.append(self._arrived.get_nowait())
        return [item for item in items if item is not None]

    async def _stop(self) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        self._pumps.clear()


def _joined(items: Sequence[Records | FeedEvent]) -> list[Records | FeedEvent]:
    """Neighbouring batches as one, in order."""
    joined: list[Records | FeedEvent] = []
    run: list[Records] = []
    for item in [*items, None]:
        if isinstance(item, np.ndarray):
            run.append(item)
            continue
        if run:
            joined.append(np.concatenate(run) if len(run) > 1 else run[0])
            run = []
        if item is not None:
            joined.append(item)
    return joined


def _token(listing: ListedInstrument) -> int:
    token = int(listing.token) if listing.token.isascii() and listing.token.isdigit() else 0
    if not 0 < token <= TOKEN_MAX or token & 0xFF not in SEGMENTS:
        raise InvalidInput(
            f"kite subscription: {listing.symbol} has the token {listing.token[:20]!r}, which is in none of "
            f"{', '.join(SEGMENTS.values())}"
        )
    return token


def _subscriptions(tokens: Sequence[int], mode: FeedMode) -> tuple[str, str]:
    return _words("subscribe", tokens), _words("mode", [_MODES[mode], list(tokens)])


def _words(action: str, value: object) -> str:
    return json.dumps({"a": action, "v": value})
