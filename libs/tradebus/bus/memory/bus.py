"""The bus in memory: for backtests and tests, in one event loop. Passes the Redis bus's test suite.

A restart is a new subscription of the same group and consumer: it finds what the old one left unacknowledged. Idleness
(`claim_idle`) is judged by the injected timers' clock; blocking reads and back-pressure wait by them too.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import TypeVar

from tradebus.bus.memory.stream import MemoryStream
from tradebus.bus.memory.subscription import MemorySubscription
from tradebus.bus.port import DEAD_LETTERS_MAX, DeadLetter, Entry, GroupState, Origin, Outgoing, dead_letter_stream
from tradebus.bus.pressure import (
    BACK_PRESSURE_SECONDS,
    SILENT_SECONDS,
    Credits,
    Silence,
    counts_of,
    limit_of,
    timed_out,
    waits,
)
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers

_log = logging.getLogger(__name__)
T = TypeVar("T")


class MemoryBus:
    """See `tradebus.bus.port.Bus`."""

    def __init__(
        self,
        *,
        timers: Timers,
        back_pressure_seconds: float = BACK_PRESSURE_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        max_entries: Mapping[str, int] | None = None,
        paced: bool = False,
    ) -> None:
        """`paced`: publishers of dense streams wait for readers too. `silent_seconds`: as `RedisBus.connect`."""
        self._timers, self._paced = timers, paced
        self._back_pressure_seconds = back_pressure_seconds
        self._max_entries = max_entries or {}
        self.at_most = Credits(self._max_entries).at_most
        self._silence = Silence(silent_seconds=silent_seconds, paced=paced)
        self._streams: dict[str, MemoryStream] = {}
        self._order = 0
        self._dead: dict[str, deque[DeadLetter]] = {}
        self._listeners: dict[str, list[MemoryListener]] = {}
        self._waiting: dict[asyncio.Future[None], frozenset[str] | None] = {}
        self._closed = False
        # What each consumer of each group was about to handle: stream, entry id, in how many lives.
        self.in_hand: dict[tuple[str, str], tuple[str, str, int]] = {}

    def stream(self, name: str) -> MemoryStream:
        """The stream's state; made where it is missing. For subscriptions."""
        stream = self._streams.get(name)
        if stream is None:
            limit = limit_of(name, self._max_entries)
            stream = self._streams[name] = MemoryStream(
                name, limit, self._timers, waits=waits(name, paced=self._paced), silence=self._silence
            )
        return stream

    async def publish(self, outgoing: Sequence[Outgoing], *, urgent: bool = False) -> None:
        await self.publish_then(outgoing, lambda: None, urgent=urgent)

    async def publish_then(
        self, outgoing: Sequence[Outgoing], act: Callable[[], None], *, urgent: bool = False
    ) -> None:
        """Publishes, then calls `act`, without a pause between. For subscriptions."""
        if not urgent:
            await self._room_for(outgoing)
        for one in outgoing:
            self._append(one)
        act()
        self.wake({one.stream for one in outgoing})

    def _append(self, outgoing: Outgoing, origin: Origin | None = None) -> Entry:
        self._order += 1
        return self.stream(outgoing.stream).append(outgoing, order=self._order, origin=origin)

    async def _room_for(self, outgoing: Sequence[Outgoing]) -> None:
        counts = counts_of(outgoing)

        def all_fit() -> bool:
            return all(self.stream(name).fits(count) for name, count in counts)

        if not await self.wait_until(all_fit, seconds=self._back_pressure_seconds):
            full = next(self.stream(name) for name, count in counts if not self.stream(name).fits(count))
            depth, group = full.depth()
            raise timed_out(full.name, group=group, depth=depth, max_entries=full.max_entries)

    async def wait_until(
        self, condition: Callable[[], T], *, seconds: float, streams: frozenset[str] | None = None
    ) -> T:
        """The first true value of `condition`, asked again whenever anything is published to one of the `streams`, or
        where none are given, whenever anything happens; its last value when time is up.

        Raises Unavailable once the bus is closed.
        """
        loop, timers = asyncio.get_running_loop(), self._timers
        end_ns = timers.monotonic_ns() + round(seconds * NANOSECONDS_PER_SECOND)
        while True:
            if self._closed:
                raise Unavailable("the bus is closed")
            value = condition()
            left_ns = end_ns - timers.monotonic_ns()
            if value or left_ns <= 0:
                return value
            happened = loop.create_future()
            self._waiting[happened] = streams
            timer = timers.after(left_ns / NANOSECONDS_PER_SECOND, partial(_look, happened))
            try:
                await happened
            finally:
                timer.cancel()
                self._waiting.pop(happened, None)

    def wake(self, published: Set[str] | None = None) -> None:
        """Lets those look again who wait for anything, and for one of the streams that were `published` to; everybody
        where that is not said."""
        for happened, streams in list(self._waiting.items()):
            if published is None or streams is None or not streams.isdisjoint(published):
                del self._waiting[happened]
                _look(happened)

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> MemorySubscription:
        for name in streams:
            self.stream(name).group(group)
        return MemorySubscription(self, streams, group=group, consumer=consumer)

    async def leave(self, streams: Sequence[str], *, group: str) -> None:
        for name in streams:
            if name in self._streams:
                self._streams[name].remove_group(group)
        self.wake()

    async def groups(self, stream: str) -> list[GroupState]:
        found = self._streams.get(stream)
        return [] if found is None else found.states()

    async def last_watermark(self, stream: str) -> int | None:
        found = self._streams.get(stream)
        return None if found is None else found.last_watermark()

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        found = self._streams.get(stream)
        return [] if found is None else found.newest(count)

    async def dead_letters(self, stream: str, *, count: int) -> list[DeadLetter]:
        return list(self._dead.get(stream, ()))[-count:]

    def bury(self, entry: Entry, *, reason: str, group: str) -> None:
        """Keeps an entry as a dead letter. For subscriptions."""
        dead = dead_letter_stream(entry.stream)
        origin = Origin(reason, entry.entry_id, group)
        kept = self._append(Outgoing(dead, entry.kind, entry.body, entry.watermark_ns, entry.slice_start_ns), origin)
        self._dead.setdefault(entry.stream, deque(maxlen=DEAD_LETTERS_MAX)).append(
            DeadLetter(kept, reason, origin_stream=entry.stream, origin_id=entry.entry_id, origin_group=group)
        )
        _log.error("dead letter: %s %s (%s): %s", entry.stream, entry.entry_id, entry.kind, reason)

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        for name in streams:
            if after.get(name, "$") == "$":
                newest = self.stream(name).newest(1)
                after[name] = newest[0].entry_id if newest else "0"

        def published() -> list[Entry]:
            return [entry for name in streams for entry in self.stream(name).after(after[name])]

        await asyncio.sleep(0)
        return await self.wait_until(published, seconds=block_ms / 1000, streams=frozenset(streams))

    async def broadcast(self, channel: str, body: bytes) -> None:
        for listener in self._listeners.get(channel, ()):
            listener.receive(body)

    def listen(self, channel: str) -> "MemoryListener":
        return MemoryListener(self._listeners.setdefault(channel, []))

    async def close(self) -> None:
        self._closed = True
        self.wake()
        for listener in [one for listeners in self._listeners.values() for one in listeners]:
            await listener.aclose()


def _look(happened: "asyncio.Future[None]") -> None:
    if not happened.done():
        happened.set_result(None)


class MemoryListener:
    """See `tradebus.bus.port.Listener`."""

    def __init__(self, listeners: list["MemoryListener"]) -> None:
        self._listeners = listeners
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closed = False

    def receive(self, body: bytes) -> None:
        """One broadcast."""
        self._queue.put_nowait(body)

    def __aiter__(self) -> "MemoryListener":
        return self

    async def __anext__(self) -> bytes:
        await self.ready()
        body = None if self._closed else await self._queue.get()
        if body is None:
            raise StopAsyncIteration
        return body

    async def ready(self) -> None:
        if not self._closed and self not in self._listeners:
            self._listeners.append(self)

    async def aclose(self) -> None:
        self._closed = True
        if self in self._listeners:
            self._listeners.remove(self)
        self._queue.put_nowait(None)
