"""A WebSocket that stays connected: asyncio, verified TLS, backoff with jitter, no thread and no reactor.

    address() ─► connect ─► opened(send) ─► frames, all that have arrived as one list ─► lost ─► wait ─► address() …

Invariants (tested): the iterator tells of every connection and every loss; what arrived before a loss is given out
before the loss is told; no attempt follows another sooner than the backoff; a broker's refusal (401, 403) ends it.
"""

import asyncio
import contextlib
import logging
import ssl
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from tradebus.brokers.common.access.addresses import is_here
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.brokers.redaction import Redactor
from tradebus.kernel.rng import jittered
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import deadline, sleep

Frame = bytes | str
Send = Callable[[Frame], Awaitable[None]]
_REFUSALS = (401, 403)
_quiet = logging.getLogger("tradebus.sockets")
_quiet.setLevel(logging.INFO)  # at DEBUG the library writes down addresses and headers, and with them tokens
_FRAMES_HELD_MAX = 10_000  # a consumer this far behind stops the reading, and TCP the sender
_HEALTHY_SECONDS = 30.0  # a connection that lived this long starts the backoff afresh


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Where to connect. The URL and headers may hold a token, so neither is ever shown."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SocketTiming:
    """Seconds. `silent_seconds`: a connection that brought no frame for so long is dropped (None: never).

    Back-off and silence are waited out by the timers; connecting and pings by the library, in the machine's time.
    """

    first_delay_seconds: float = 0.5
    last_delay_seconds: float = 30.0
    connect_seconds: float = 5.0
    ping_seconds: float = 10.0
    silent_seconds: float | None = None


class ReconnectingSocket:
    """`address` is asked before every attempt (a fresh token, a single-use URL); `opened` subscribes."""

    def __init__(
        self,
        name: str,
        *,
        address: Callable[[], Awaitable[SocketAddress]],
        opened: Callable[[Send], Awaitable[None]],
        redactor: Redactor,
        timers: Timers,
        timing: SocketTiming | None = None,
        max_frame_bytes: int = 16 * 1024 * 1024,
        seed: int = 0,
    ) -> None:
        self._name, self._address, self._opened, self._redactor = name, address, opened, redactor
        self._timers, self._timing = timers, timing or SocketTiming()
        self._max_frame_bytes, self._seed = max_frame_bytes, seed
        self._connection: ClientConnection | None = None
        self._closed = asyncio.Event()
        self._attempt = self._renewals = 0

    async def frames(self) -> AsyncGenerator[list[Frame] | FeedEvent, None]:
        """Lists of frames in arrival order, and what happened to the connection; ends after `close` or a refusal."""
        while not self._closed.is_set():
            started_ns, renewals = self._timers.monotonic_ns(), self._renewals
            try:
                async with await self._connect() as connection:
                    self._connection = connection
                    if self._renewals != renewals:
                        connection.transport.abort()  # its address was of before
                    async for item in self._live(connection):
                        yield item
                reason = "closed by the other side"
            except _Refusal as refusal:
                yield FeedEvent(FeedEventKind.REFUSED, str(refusal))
                return
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed, _Silent) as error:
                reason = self._redactor.text(str(error) or type(error).__name__)[:200]
            finally:
                self._connection = None
            if self._closed.is_set():
                return
            yield FeedEvent(FeedEventKind.DISCONNECTED, f"{self._name}: {reason}")
            await self._back_off(lived_seconds=(self._timers.monotonic_ns() - started_ns) / 1e9)

    async def send(self, frame: Frame) -> bool:
        """Sends now where connected. False where not: `opened` will say everything again."""
        connection = self._connection
        if connection is None:
            return False
        try:
            await connection.send(frame)
        except ConnectionClosed:
            return False
        return True

    async def drop(self) -> None:
        """Gives this connection up; the next one follows (for one that is open and dead)."""
        if self._connection is not None:
            self._connection.transport.abort()

    def renew(self) -> None:
        """What `address` says has changed: this connection is given up, or the one under way once it is there."""
        self._renewals += 1
        if self._connection is not None:
            self._connection.transport.abort()

    async def close(self) -> None:
        """Ends `frames`."""
        self._closed.set()
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self) -> ClientConnection:
        address = await self._address()
        secure = ssl.create_default_context() if address.url.startswith("wss:") else None
        try:
            return await connect(
                address.url, additional_headers=dict(address.headers), ssl=secure, compression=None, logger=_quiet,
                open_timeout=self._timing.connect_seconds, ping_interval=self._timing.ping_seconds,
                ping_timeout=self._timing.ping_seconds, close_timeout=1, max_size=self._max_frame_bytes,
                proxy=None if is_here(address.url) else True,
            )  # fmt: skip
        except InvalidStatus as error:
            status = error.response.status_code
            if status in _REFUSALS:
                raise _Refusal(f"{self._name}: refused with {status}: a login is needed") from None
            raise

    async def _live(self, connection: ClientConnection) -> AsyncIterator[list[Frame] | FeedEvent]:
        inbox = _Inbox(self._timers)
        reading = asyncio.create_task(inbox.fill(connection))
        try:
            with contextlib.suppress(ConnectionClosed):  # what came before it closed is given out, and why it closed
                await self._opened(connection.send)
            yield FeedEvent(FeedEventKind.CONNECTED, self._name)
            while not self._closed.is_set():
                frames = await inbox.take(self._timing.silent_seconds)
                if frames:
                    yield frames
                elif inbox.ended:
                    await reading
                    return
                else:
                    raise _Silent(f"no frame for {self._timing.silent_seconds:g} s")
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _back_off(self, *, lived_seconds: float) -> None:
        self._attempt = 1 if lived_seconds >= _HEALTHY_SECONDS else self._attempt + 1
        base = min(self._timing.first_delay_seconds * 2 ** (self._attempt - 1), self._timing.last_delay_seconds)
        await sleep(self._timers, jittered(base, self._attempt, seed=self._seed), unless=self._closed)


class _Refusal(Exception):
    pass


class _Silent(Exception):
    pass


class _Inbox:
    """Frames between the reading task and the consumer."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._frames: deque[Frame] = deque()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self.ended = False

    async def fill(self, connection: ClientConnection) -> None:
        """Raises ConnectionClosed where the connection ended badly; returns where it was closed in order."""
        try:
            async for frame in connection:
                self._frames.append(frame)
                self._changed.set()
                if len(self._frames) >= _FRAMES_HELD_MAX:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self.ended = True
            self._changed.set()

    async def take(self, timeout_seconds: float | None) -> list[Frame]:
        """All that has arrived; waits for the first. Empty after the end, or after the timeout."""
        if not self._frames and not self.ended:
            try:
                async with deadline(self._timers, timeout_seconds):
                    await self._changed.wait()
            except TimeoutError:
                return []
        frames = list(self._frames)
        self._frames.clear()
        self._changed.clear()
        if self.ended:
            self._changed.set()
        self._room.set()
        return frames
