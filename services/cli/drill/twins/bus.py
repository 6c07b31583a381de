"""Redis of the drill: the twin behind doors of each process. It may be away, lose everything, and be slow.

service ─► DrilledBus (one per process) ─► MemoryBus of the hour: lost ones are replaced by an empty one
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from services.cli.drill.simulation.draws import Draws
from services.cli.drill.simulation.points import ACKNOWLEDGING, PUBLISHING, CrashPoints
from services.cli.drill.simulation.process import SimulatedProcess
from tradebus.bus.memory.bus import MemoryBus
from tradebus.bus.port import ChannelListener, DeadLetter, Entry, GroupState, Outgoing, Subscription
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_MILLISECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_TRIP_SECONDS = (0.000_1, 0.001)


class _TimedBus(MemoryBus):
    """A bus whose ids say when an entry was published, in milliseconds, as Redis's do."""

    def __init__(self, *, timers: Timers) -> None:
        super().__init__(timers=timers)
        self._wall = timers

    async def publish_then(
        self, outgoing: Sequence[Outgoing], act: Callable[[], None], *, urgent: bool = False
    ) -> None:  # fmt: skip
        self._order = max(self._order, self._wall.now_ns() // NANOSECONDS_PER_MILLISECOND)
        await super().publish_then(outgoing, act, urgent=urgent)


class BusServer:
    """What all doors lead to."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self.bus, self.is_away = _TimedBus(timers=timers), False

    async def lose_everything(self) -> None:
        """A restart without its data: readers lose their connections."""
        lost, self.bus = self.bus, _TimedBus(timers=self._timers)
        await lost.close()


class DrilledBus:
    """See `tradebus.bus.port.Bus`."""

    def __init__(self, server: BusServer, process: SimulatedProcess, *, points: CrashPoints, draws: Draws) -> None:
        self.server, self._process, self._points, self._draws = server, process, points, draws
        self.at_most = server.bus.at_most

    async def trip(self) -> MemoryBus:
        """There and back; the bus of now. Raises Unavailable."""
        self.check_door()
        await sleep(self._process.timers, self._draws.between(*_TRIP_SECONDS))
        self.check_door()
        return self.server.bus

    def check_door(self) -> None:
        """Raises Unavailable."""
        if self._process.is_doomed:
            raise Unavailable("the process is dead")
        if self.server.is_away:
            raise Unavailable("the bus does not answer")

    async def publish(self, outgoing: Sequence[Outgoing], *, urgent: bool = False) -> None:
        await self.at(PUBLISHING)
        await (await self.trip()).publish(outgoing, urgent=urgent)

    async def at(self, point: str) -> None:
        """A point of the process."""
        await self._points.at(point)

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> Subscription:
        await (await self.trip()).subscribe(streams, group=group, consumer=consumer)  # the groups are made here
        return DrilledSubscription(self, streams, group=group, consumer=consumer)

    async def leave(self, streams: Sequence[str], *, group: str) -> None:
        await (await self.trip()).leave(streams, group=group)

    async def groups(self, stream: str) -> list[GroupState]:
        return await (await self.trip()).groups(stream)

    async def last_watermark(self, stream: str) -> int | None:
        return await (await self.trip()).last_watermark(stream)

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        return await (await self.trip()).tail(stream, count=count)

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        return await (await self.trip()).follow(streams, after=after, block_ms=block_ms)

    async def broadcast(self, channel: str, body: bytes) -> None:
        await (await self.trip()).broadcast(channel, body)

    def listen(self, channel: str) -> ChannelListener:
        self.check_door()
        return self.server.bus.listen(channel)

    async def dead_letters(self, stream: str, *, count: int) -> list[DeadLetter]:
        return await (await self.trip()).dead_letters(stream, count=count)

    async def close(self) -> None:
        """The server goes on for the others."""


class DrilledSubscription:
    """See `tradebus.bus.port.Subscription`. Where the server has lost its data it begins anew on what is there now, and
    says so with the first entry, as the one on Redis does."""

    def __init__(self, door: DrilledBus, streams: Sequence[str], *, group: str, consumer: str) -> None:
        self._door, self._streams, self._group, self._consumer = door, tuple(streams), group, consumer
        self._bus: MemoryBus | None = None
        self._inner: Subscription | None = None
        self._read: set[tuple[str, str]] = set()  # of this server's entries
        self._gap = False

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        self._door.check_door()
        inner = await self._on(self._door.server.bus)  # a read waits for entries anyhow: no time of its own
        try:
            entries = await inner.read(block_ms=block_ms, count=count)
        except Unavailable as error:
            raise ConnectionResetError("the bus was lost while it was read") from error
        self._door.check_door()
        if entries and self._gap:
            self._gap, entries = False, [replace(entries[0], after_gap=True), *entries[1:]]
        self._read.update((one.stream, one.entry_id) for one in entries)
        return entries

    async def ack(self, entries: Sequence[Entry]) -> None:
        await self._door.at(ACKNOWLEDGING)
        inner = await self._current()
        await inner.ack(self._mine(entries))

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        await self._door.at(PUBLISHING)
        inner = await self._current()
        await inner.publish_and_ack(outgoing, self._mine(entries))

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        inner = await self._current()
        entries = await inner.claim_idle(min_idle_ms=min_idle_ms, count=count)
        self._read.update((one.stream, one.entry_id) for one in entries)
        return entries

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        inner = await self._current()
        for one in self._mine([entry]):
            await inner.dead_letter(one, reason=reason)

    async def take_in_hand(self, entry: Entry) -> int:
        return await (await self._current()).take_in_hand(entry)

    async def erase(self, entries: Sequence[Entry]) -> None:
        inner = await self._current()
        await inner.erase(self._mine(entries))

    async def lag(self) -> dict[str, int]:
        return await (await self._current()).lag()

    async def close(self) -> None:
        """Nothing to give back."""

    async def _current(self) -> Subscription:
        """Raises Unavailable."""
        return await self._on(await self._door.trip())

    async def _on(self, bus: MemoryBus) -> Subscription:
        if self._inner is None or bus is not self._bus:
            self._gap = self._inner is not None
            self._bus, self._read = bus, set()
            self._inner = await bus.subscribe(self._streams, group=self._group, consumer=self._consumer)
        return self._inner

    def _mine(self, entries: Sequence[Entry]) -> list[Entry]:
        return [one for one in entries if (one.stream, one.entry_id) in self._read]
