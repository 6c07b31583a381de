"""The bus on Redis Streams (Redis 7 or Valkey 8 and later).

    publish ─► [credit] ─► MULTI · XADD … · (XACK …) · EXEC     one round trip, all or nothing
    subscribe ─► XGROUP CREATE … 0 ─► own pending entries, then new ones (redis_subscription)

Lost connections. Every operation is repeated, with back-off, for `retry_seconds`, then raises Unavailable. Reads,
acks, lag and the like may be carried out twice without harm. A publish whose reply was lost is looked for before it is
sent again: the entries after the last id this bus knew on the stream are compared with it field by field. So a publish
is repeated only where Redis did not carry it out; what remains is a request still lying in a dead connection's buffer
while the next connection looks, and a Redis that came back without its last writes. Consumers therefore take delivery
as at least once, and their inboxes absorb the rest. `broadcast` is at most once for a listener, as pub/sub is.
"""

import asyncio
from collections.abc import Mapping, Sequence

from tradebus.bus import codec
from tradebus.bus.link import Dialler, Dropped, RedisRefused, Reply, Retry, Wire, back_off, checked, pack
from tradebus.bus.measure import Measure
from tradebus.bus.port import Entry, Outgoing
from tradebus.bus.pressure import BackPressureTimeout, Credit, limit_of
from tradebus.bus.redis_listen import RedisListener
from tradebus.bus.redis_subscription import RedisSubscription

_WATERMARK_PAGE = 64


class RedisBus:
    """See `tradebus.bus.port.Bus`."""

    def __init__(
        self, dialler: Dialler, *, namespace: str, back_pressure_seconds: float, max_entries: Mapping[str, int]
    ) -> None:
        self._dialler = dialler
        self._prefix = f"{namespace}:" if namespace else ""
        self._wire = Wire(dialler)
        self._followers: list[Wire] = []
        self._subscriptions: list[RedisSubscription] = []
        self._listeners: list[RedisListener] = []
        self._back_pressure_seconds = back_pressure_seconds
        self._max_entries = max_entries
        self._credits: dict[str, Credit] = {}
        self._measure = Measure(self._wire)
        self._last_ids: dict[str, bytes] = {}

    @classmethod
    async def connect(
        cls,
        redis_url: str,
        *,
        namespace: str,
        retry_seconds: float = 10.0,
        back_pressure_seconds: float = 60.0,
        max_entries: Mapping[str, int] | None = None,
    ) -> "RedisBus":
        """Connects, trying for `retry_seconds`. `max_entries` overrides the stream table's bounds, by stream name.

        Raises InvalidInput for a malformed URL, Unavailable where no Redis answers or lets this client in.
        """
        dialler = Dialler(redis_url, retry_seconds=retry_seconds, client_name=f"tradebus:{namespace or 'default'}")
        bus = cls(
            dialler,
            namespace=namespace,
            back_pressure_seconds=back_pressure_seconds,
            max_entries=max_entries or {},
        )
        await bus._wire.persist(pack("PING"), replies=1)
        return bus

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        await self.publish_with(outgoing, ())

    async def publish_with(self, outgoing: Sequence[Outgoing], acks: Sequence[bytes]) -> None:
        """Publishes, then carries out the packed XACKs, in one transaction. For subscriptions."""
        if not outgoing and not acks:
            return
        await self._reserve(outgoing)
        request = self._transaction(outgoing, acks)
        replies = 2 + len(outgoing) + len(acks)
        retry: Retry | None = None
        while True:
            try:
                if retry is None or not await self._landed(outgoing):
                    done = executed(await self._wire.call(request, replies=replies))
                    for one, entry_id in zip(outgoing, done, strict=False):
                        self._last_ids[one.stream] = entry_id
                return
            except Dropped as error:
                retry = retry or Retry(self._dialler)
                await retry.wait(error)

    def _transaction(self, outgoing: Sequence[Outgoing], acks: Sequence[bytes]) -> bytes:
        prefix, credits = self._prefix, self._credits
        return b"".join(
            (
                codec.MULTI,
                *(codec.pack_add(prefix + one.stream, one, max_entries=credits[one.stream].max_entries)
                  for one in outgoing),
                *acks,
                codec.EXEC,
            )
        )  # fmt: skip

    async def _landed(self, outgoing: Sequence[Outgoing]) -> bool:
        """Whether a transaction of unknown outcome was carried out: all of it or nothing was, so one entry tells."""
        if not outgoing:
            return False
        first = outgoing[0]
        wanted = [part if isinstance(part, bytes) else str(part).encode() for part in codec.fields_of(first)]
        last_id = self._last_ids.get(first.stream, b"0")
        while True:
            (page,) = await self._wire.call(
                pack("XRANGE", self._prefix + first.stream, b"(" + last_id, "+", "COUNT", _WATERMARK_PAGE), replies=1
            )
            if any(fields == wanted for _, fields in page):
                return True
            if len(page) < _WATERMARK_PAGE:
                return False
            last_id = page[-1][0]

    async def _reserve(self, outgoing: Sequence[Outgoing]) -> None:
        """Takes credit for every entry, waiting while a stream is full. Raises BackPressureTimeout."""
        counts: dict[str, int] = {}
        for one in outgoing:
            counts[one.stream] = counts.get(one.stream, 0) + 1
        for stream, count in counts.items():
            credit = self._credits.get(stream)
            if credit is None:
                credit = self._credits[stream] = Credit(limit_of(stream, self._max_entries))
            if not credit.take(count):
                await self._wait_for_room(stream, credit, count)

    async def _wait_for_room(self, stream: str, credit: Credit, count: int) -> None:
        loop = asyncio.get_running_loop()
        end, attempt = loop.time() + self._back_pressure_seconds, 0
        while True:
            depth = await self._measure.depth(self._prefix + stream)
            self._last_ids.setdefault(stream, depth.last_id)
            if credit.measured(depth=depth.entries, count=count):
                return
            if loop.time() >= end:
                raise BackPressureTimeout(
                    f"stream {stream}: group {depth.group!r} is {depth.entries} entries behind and the stream holds "
                    f"{credit.max_entries}; start the service that reads it, or remove the group"
                )
            await asyncio.sleep(back_off(attempt))
            attempt = min(attempt + 1, 3)

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> RedisSubscription:
        subscription = RedisSubscription(
            self, self._dialler, self._wire, self._measure, prefix=self._prefix, streams=streams,
            group=group, consumer=consumer,
        )  # fmt: skip
        await subscription.create_groups()
        self._subscriptions.append(subscription)
        return subscription

    async def last_watermark(self, stream: str) -> int | None:
        """Looks back from the newest entry; cheap on a paced stream, where nearly every entry carries one."""
        end = "+"
        while True:
            (page,) = await self._wire.persist(
                pack("XREVRANGE", self._prefix + stream, end, "-", "COUNT", _WATERMARK_PAGE), replies=1
            )
            for entry_id, fields in page:
                watermark = codec.read_entry(stream, entry_id, fields).watermark_ns
                if watermark is not None:
                    return watermark
            if len(page) < _WATERMARK_PAGE:
                return None
            end = "(" + page[-1][0].decode()

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        (page,) = await self._wire.persist(
            pack("XREVRANGE", self._prefix + stream, "+", "-", "COUNT", count), replies=1
        )
        return [codec.read_entry(stream, entry_id, fields) for entry_id, fields in reversed(page)]

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        for stream in streams:
            if after.get(stream, "$") == "$":
                newest = await self.tail(stream, count=1)
                after[stream] = newest[-1].entry_id if newest else "0"
        command: list[bytes | str | int] = ["XREAD", "COUNT", 256]
        if block_ms > 0:
            command += ("BLOCK", block_ms)
        command += ("STREAMS", *(self._prefix + stream for stream in streams), *(after[stream] for stream in streams))
        wire = self._followers.pop() if self._followers else Wire(self._dialler)
        try:
            reply = await _persist_blocking(wire, self._dialler, pack(*command), block_ms=block_ms)
        except BaseException:
            await wire.close()  # a reply may still be on its way: this connection is of no more use
            raise
        self._followers.append(wire)
        skip = len(self._prefix)
        return [
            codec.read_entry(key.decode()[skip:], entry_id, fields)
            for key, entries in codec.by_stream(reply)
            for entry_id, fields in entries
        ]

    async def broadcast(self, channel: str, body: bytes) -> None:
        await self._wire.persist(pack("PUBLISH", self._prefix + channel, body), replies=1)

    def listen(self, channel: str) -> RedisListener:
        """The messages broadcast on `channel` from the first `await` on; those sent while Redis is away are lost."""
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


async def _persist_blocking(wire: Wire, dialler: Dialler, request: bytes, *, block_ms: int) -> Reply:
    retry = Retry(dialler)
    while True:
        try:
            future = await wire.send(request, replies=1, block_ms=block_ms)
            return checked(await future)[0]
        except Dropped as error:
            await retry.wait(error)


def executed(replies: list[Reply]) -> list[Reply]:
    """What the commands of a transaction returned. Raises RedisRefused where one of them failed."""
    done: list[Reply] = replies[-1]
    for reply in done:
        if isinstance(reply, RedisRefused):
            raise reply
    return done
