"""The bus on Redis Streams (Redis 7, Valkey 8 and later).

    publish ─► [credit] ─► MULTI · XADD … · (XACK …) · EXEC     one round trip, all or nothing
    subscribe ─► XGROUP CREATE … 0 ─► own pending entries, then new ones (`redis_reader`)

Lost connections. Every operation is repeated, with back-off, for `retry_seconds`, then raises Unavailable. Reads,
acks, lag and the like may be carried out twice without harm. A publish whose reply was lost is looked for before it is
sent again: the entries after the last id this bus knew on each stream are compared with it, field by field. So a
publish is repeated only where Redis did not carry it out; what remains is a request still lying in a dead connection's
buffer while the next connection looks, and a Redis that came back without its last writes. Consumers therefore take
delivery as at least once, and their inboxes absorb the rest. `broadcast` may reach a listener twice, or not at all.
"""

from collections.abc import Mapping, Sequence

from tradebus.bus.port import DeadLetter, Entry, GroupState, Outgoing, dead_letter_stream
from tradebus.bus.pressure import (
    BACK_PRESSURE_SECONDS,
    SILENT_SECONDS,
    Credit,
    Credits,
    Silence,
    counts_of,
    timed_out,
    waits,
)
from tradebus.bus.redis import codec
from tradebus.bus.redis.dial import Dialler, Retry, back_off
from tradebus.bus.redis.link import STALL_SECONDS, Dropped, RedisRefused, Reply, checked, executed, pack
from tradebus.bus.redis.listening import RedisListener
from tradebus.bus.redis.measure import Measure
from tradebus.bus.redis.subscription import RedisSubscription, read_dead_letter
from tradebus.bus.redis.wire import Wire
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

_PAGE = 64


class RedisBus:
    """See `tradebus.bus.port.Bus`."""

    def __init__(
        self, dialler: Dialler, *, namespace: str, back_pressure_seconds: float, max_entries: Mapping[str, int],
        paced: bool, silent_seconds: float,
    ) -> None:  # fmt: skip
        self._dialler = dialler
        self._prefix = f"{namespace}:" if namespace else ""
        self._wire = Wire(dialler)
        self._followers: list[Wire] = []
        self._subscriptions: list[RedisSubscription] = []
        self._listeners: list[RedisListener] = []
        self._back_pressure_seconds = back_pressure_seconds
        self._paced = paced
        self._credits = Credits(max_entries)
        self.at_most = self._credits.at_most
        self._measure = Measure(self._wire, timers=dialler.timers)
        self._silence = Silence(silent_seconds=silent_seconds, paced=paced)
        self._last_ids: dict[str, bytes] = {}

    @classmethod
    async def connect(
        cls,
        redis_url: str,
        *,
        namespace: str,
        timers: Timers,
        retry_seconds: float = 10.0,
        back_pressure_seconds: float = BACK_PRESSURE_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        max_entries: Mapping[str, int] | None = None,
        paced: bool = False,
    ) -> "RedisBus":
        """Connects, trying for `retry_seconds`. `max_entries` overrides the stream table's bounds, by stream name.
        `paced`: publishers of dense streams wait for readers too.

        All of it waits by `timers`, except that Redis ends a read that blocks. A publish waits for a full stream for
        `back_pressure_seconds`; a connection that owes an answer for `stall_seconds` is given up for a new one. A group
        that nobody has read for `silent_seconds` holds up no stream whose entries are in Postgres too.

        Raises InvalidInput for a malformed URL, Unavailable where no Redis answers or lets this client in.
        """
        dialler = Dialler(
            redis_url, timers=timers, retry_seconds=retry_seconds, stall_seconds=stall_seconds,
            client_name=f"tradebus:{namespace or 'default'}",
        )  # fmt: skip
        bus = cls(
            dialler, namespace=namespace, back_pressure_seconds=back_pressure_seconds, max_entries=max_entries or {},
            paced=paced, silent_seconds=silent_seconds,
        )  # fmt: skip
        await bus._wire.persist(pack("PING"), replies=1)
        return bus

    async def publish(self, outgoing: Sequence[Outgoing], *, urgent: bool = False) -> None:
        await self._publish_with(outgoing, (), urgent=urgent)

    async def _publish_with(self, outgoing: Sequence[Outgoing], acks: Sequence[bytes], *, urgent: bool = False) -> None:
        """Publishes, then carries out the packed XACKs, in one transaction."""
        if not outgoing and not acks:
            return
        if not urgent:
            await self._reserve(outgoing)
        commands = [
            codec.pack_add(self._prefix + one.stream, one, max_entries=self._credits[one.stream].max_entries)
            for one in outgoing
        ]
        request, replies = codec.transaction([*commands, *acks]), 2 + len(commands) + len(acks)
        retry: Retry | None = None
        while True:
            try:
                if retry is not None and await self._landed(outgoing):
                    # Entries like these may also be another instance's: the acks are made sure of.
                    checked(await self._wire.call(b"".join(acks), replies=len(acks)) if acks else [])
                    return
                done = executed(await self._wire.call(request, replies=replies))
                self._last_ids.update((one.stream, done[at]) for at, one in enumerate(outgoing))
                return
            except Dropped as error:
                retry = retry or Retry(self._dialler)
                await retry.pause(error)

    async def _landed(self, outgoing: Sequence[Outgoing]) -> bool:
        """Whether a transaction of unknown outcome was carried out: its entries stand in each stream in a row."""
        wanted: dict[str, list[list[bytes]]] = {}
        for one in outgoing:
            wanted.setdefault(one.stream, []).append([codec.as_bytes(part) for part in codec.fields_of(one)])
        for stream, run in wanted.items():
            found = [fields for _, fields in await self._after(stream, self._last_ids.get(stream, b"0"))]
            if not any(found[at : at + len(run)] == run for at in range(len(found) - len(run) + 1)):
                return False
        return bool(wanted)

    async def _after(self, stream: str, last_id: bytes) -> list[Reply]:
        """Every entry of a stream after an id."""
        found: list[Reply] = []
        while True:
            command = pack("XRANGE", self._prefix + stream, b"(" + last_id, "+", "COUNT", _PAGE)
            (page,) = await self._wire.call(command, replies=1)
            found += page
            if len(page) < _PAGE:
                return found
            last_id = page[-1][0]

    async def _reserve(self, outgoing: Sequence[Outgoing]) -> None:
        """Takes credit for every entry, waiting while a stream is full. Raises BackPressureTimeout."""
        for stream, count in counts_of(outgoing):
            credit = self._credits[stream]
            if not credit.take(count):
                await self._wait_for_room(stream, credit, count)

    async def _wait_for_room(self, stream: str, credit: Credit, count: int) -> None:
        if not waits(stream, paced=self._paced):
            if stream not in self._last_ids:
                newest = await self._newest(stream, 1)
                self._last_ids[stream] = newest[0][0] if newest else b"0-0"
            credit.measured(depth=0, count=count)
            return
        timers, attempt = self._dialler.timers, 0
        end_ns = timers.monotonic_ns() + int(self._back_pressure_seconds * NANOSECONDS_PER_SECOND)
        while True:
            depth = await self._measure.awaited(self._prefix + stream, stream, credit, self._silence, count=count)
            self._last_ids.setdefault(stream, depth.last_id)
            if credit.measured(depth=depth.entries, count=count):
                return
            if timers.monotonic_ns() >= end_ns:
                raise timed_out(stream, group=depth.group, depth=depth.entries, max_entries=credit.max_entries)
            await sleep(timers, back_off(attempt, timers))
            attempt = min(attempt + 1, 3)

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> RedisSubscription:
        subscription = RedisSubscription(
            self._publish_with,
            self._dialler,
            self._wire,
            prefix=self._prefix,
            streams=streams,
            group=group,
            consumer=consumer,
        )
        await subscription.create_groups()
        self._subscriptions.append(subscription)
        return subscription

    async def groups(self, stream: str) -> list[GroupState]:
        return await self._measure.groups(self._prefix + stream)

    async def leave(self, streams: Sequence[str], *, group: str) -> None:
        for stream in streams:
            try:
                await self._wire.persist(pack("XGROUP", "DESTROY", self._prefix + stream, group), replies=1)
            except RedisRefused as error:
                if "requires the key to exist" not in str(error):
                    raise

    async def last_watermark(self, stream: str) -> int | None:
        """Looks back from the newest entry; cheap on a paced stream, where nearly every entry carries one."""
        end = "+"
        while True:
            command = pack("XREVRANGE", self._prefix + stream, end, "-", "COUNT", _PAGE)
            (page,) = await self._wire.persist(command, replies=1)
            for entry_id, fields in page:
                watermark = codec.read_entry(stream, entry_id, fields).watermark_ns
                if watermark is not None:
                    return watermark
            if len(page) < _PAGE:
                return None
            end = "(" + page[-1][0].decode()

    async def _newest(self, stream: str, count: int) -> list[Reply]:
        command = pack("XREVRANGE", self._prefix + stream, "+", "-", "COUNT", count)
        (page,) = await self._wire.persist(command, replies=1)
        return list(reversed(page))

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        return [codec.read_entry(stream, one, fields) for one, fields in await self._newest(stream, count)]

    async def dead_letters(self, stream: str, *, count: int) -> list[DeadLetter]:
        newest = await self._newest(dead_letter_stream(stream), count)
        return [read_dead_letter(stream, one, fields) for one, fields in newest]

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        for stream in streams:
            if after.get(stream, "$") == "$":
                newest = await self._newest(stream, 1)
                after[stream] = newest[0][0].decode() if newest else "0"
        keys, ids = [self._prefix + stream for stream in streams], [after[stream] for stream in streams]
        block = ("BLOCK", block_ms) if block_ms > 0 else ()
        request = pack("XREAD", "COUNT", 256, *block, "STREAMS", *keys, *ids)
        wire = self._followers.pop() if self._followers else Wire(self._dialler)
        try:
            (reply,) = await wire.persist(request, replies=1, block_ms=block_ms)
        except BaseException:
            await wire.close()  # a reply may still be on its way: this connection is of no more use
            raise
        self._followers.append(wire)
        names = dict(zip((key.encode() for key in keys), streams, strict=True))
        return [codec.read_entry(names[key], one, fields) for key, page in reply or () for one, fields in page]

    async def broadcast(self, channel: str, body: bytes) -> None:
        await self._wire.persist(pack("PUBLISH", self._prefix + channel, body), replies=1)

    def listen(self, channel: str) -> RedisListener:
        listener = RedisListener(self._dialler, self._prefix + channel)
        self._listeners.append(listener)
        return listener

    async def close(self) -> None:
        for subscription in self._subscriptions:
            await subscription.close()
        for listener in self._listeners:
            await listener.aclose()
        for wire in (*self._followers, self._wire):
            await wire.close()
