"""One consumer of a group on Redis. Reads block on a connection of their own; everything else shares the bus's.

    recovering: the consumer's own pending entries, from id 0, page by page ──► new entries (">"), for ever

Invariants (with those of `tradebus.bus.port`):
- `read` returns each entry once per process life: after a lost connection the pending entries are read again, because a
  reply may have been lost with it, and those already returned (`held`) are passed over.
- A caller that is cancelled in the middle of a read loses nothing: the reply waits for the next read.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tradebus.bus import codec
from tradebus.bus.link import Dialler, Dropped, RedisRefused, Reply, Retry, Wire, checked, pack
from tradebus.bus.measure import Measure
from tradebus.bus.port import Entry, Outgoing, dead_letter_stream

if TYPE_CHECKING:
    from tradebus.bus.redis_bus import RedisBus

_log = logging.getLogger(__name__)
_DEAD_LETTERS_MAX = 10_000


class RedisSubscription:
    """See `tradebus.bus.port.Subscription`. `trimmed` counts entries that were gone before they could be handled."""

    def __init__(
        self, bus: "RedisBus", dialler: Dialler, wire: Wire, measure: Measure, *, prefix: str, streams: Sequence[str],
        group: str, consumer: str,
    ) -> None:  # fmt: skip
        self.group, self.consumer, self.streams = group, consumer, tuple(streams)
        self.trimmed = 0
        self._bus, self._dialler, self._wire, self._measure = bus, dialler, wire, measure
        self._blocking = Wire(dialler)
        self._prefix = prefix
        self._keys = tuple(prefix + stream for stream in streams)
        self._names = {(prefix + stream).encode(): stream for stream in streams}
        self._held: dict[str, set[str]] = {stream: set() for stream in streams}
        self._cursors: dict[str, str] | None = dict.fromkeys(streams, "0")  # None once nothing is left over
        self._in_flight: asyncio.Future[list[Reply]] | None = None

    async def create_groups(self) -> None:
        """Makes the group on every stream, from its beginning; one that is there stays as it is."""
        for key in self._keys:
            try:
                await self._wire.persist(pack("XGROUP", "CREATE", key, self.group, "0", "MKSTREAM"), replies=1)
            except RedisRefused as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        """`count` bounds the entries per stream. `block_ms` 0 does not wait."""
        retry: Retry | None = None
        while True:
            try:
                if self._cursors is not None:
                    found = await self._read_left_over(self._cursors, count)
                    if found:
                        return found
                return self._take(await self._read_new(block_ms, count))
            except Dropped as error:
                self._cursors = dict.fromkeys(self.streams, "0")
                retry = retry or Retry(self._dialler)
                await retry.wait(error)
            except RedisRefused as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                _log.warning("group %s is gone from Redis, made again from the beginning", self.group)
                await self.create_groups()

    async def _read_new(self, block_ms: int, count: int) -> Reply:
        if self._in_flight is None:
            command: list[bytes | str | int] = ["XREADGROUP", "GROUP", self.group, self.consumer, "COUNT", count]
            if block_ms > 0:
                command += ("BLOCK", block_ms)
            command += ("STREAMS", *self._keys, *(">" for _ in self._keys))
            self._in_flight = await self._blocking.send(pack(*command), replies=1, block_ms=block_ms)
        in_flight = self._in_flight
        try:
            replies = await asyncio.shield(in_flight)
        finally:
            if in_flight.done():
                self._in_flight = None
        return checked(replies)[0]

    def _take(self, reply: Reply) -> list[Entry]:
        found: list[Entry] = []
        answered = codec.by_stream(reply)
        for key, entries in answered:
            stream = self._names[key]
            held = self._held[stream]
            for entry_id, fields in entries:
                entry = codec.read_entry(stream, entry_id, fields)
                held.add(entry.entry_id)
                found.append(entry)
        if len(answered) > 1:
            found.sort(key=lambda entry: codec.id_order(entry.entry_id))
        return found

    async def _read_left_over(self, cursors: dict[str, str], count: int) -> list[Entry]:
        """The next page of pending entries not yet returned in this life; [] when all have been."""
        while True:
            command: list[bytes | str | int] = [
                "XREADGROUP",
                "GROUP",
                self.group,
                self.consumer,
                "COUNT",
                count,
                "STREAMS",
                *self._keys,
            ]
            reply = await self._blocking.call(pack(*command, *(cursors[name] for name in self.streams)), replies=1)
            found, seen = [], 0
            for key, entries in codec.by_stream(reply[0]):
                stream = self._names[key]
                seen += len(entries)
                found += await self._left_over_of(stream, entries)
                if entries:
                    cursors[stream] = entries[-1][0].decode()
            if seen == 0:
                self._cursors = None
                return []
            if found:
                found.sort(key=lambda entry: codec.id_order(entry.entry_id))
                return found

    async def _left_over_of(self, stream: str, entries: list[Reply]) -> list[Entry]:
        held = self._held[stream]
        fresh = [(entry_id, fields) for entry_id, fields in entries if entry_id.decode() not in held]
        whole = [(entry_id, fields) for entry_id, fields in fresh if fields is not None]
        await self._forget(stream, [entry_id for entry_id, fields in fresh if fields is None])
        if not whole:
            return []
        deliveries = await self._deliveries(stream, [entry_id for entry_id, _ in whole])
        found = []
        for entry_id, fields in whole:
            entry = codec.read_entry(stream, entry_id, fields, deliveries=deliveries.get(entry_id, 2))
            held.add(entry.entry_id)
            found.append(entry)
        return found

    async def _forget(self, stream: str, gone: Sequence[bytes]) -> None:
        """Acknowledges entries that were trimmed away while pending: there is nothing left to handle."""
        if not gone:
            return
        self.trimmed += len(gone)
        _log.error("stream %s: %d entries were trimmed before group %s handled them", stream, len(gone), self.group)
        await self._wire.persist(pack("XACK", self._prefix + stream, self.group, *gone), replies=1)

    async def _deliveries(self, stream: str, entry_ids: Sequence[bytes]) -> dict[bytes, int]:
        """How often each of these pending entries of this consumer has been delivered."""
        first, last = entry_ids[0], entry_ids[-1]
        (rows,) = await self._wire.persist(
            pack("XPENDING", self._prefix + stream, self.group, first, last, len(entry_ids) * 4, self.consumer),
            replies=1,
        )
        return {row[0]: int(row[3]) for row in rows}

    def _packed_acks(self, entries: Sequence[Entry]) -> list[bytes]:
        ids: dict[str, list[str]] = {}
        for entry in entries:
            ids.setdefault(entry.stream, []).append(entry.entry_id)
        return [pack("XACK", self._prefix + stream, self.group, *some) for stream, some in ids.items()]

    def _release(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._held[entry.stream].discard(entry.entry_id)

    async def ack(self, entries: Sequence[Entry]) -> None:
        acks = self._packed_acks(entries)
        if acks:
            await self._wire.persist(b"".join(acks), replies=len(acks))
            self._release(entries)

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        await self._bus.publish_with(outgoing, self._packed_acks(entries))
        self._release(entries)

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        found: list[Entry] = []
        for stream in self.streams:
            key, cursor = self._prefix + stream, b"0-0"
            while len(found) < count:
                (reply,) = await self._wire.persist(
                    pack(
                        "XAUTOCLAIM", key, self.group, self.consumer, min_idle_ms, cursor, "COUNT", count - len(found)
                    ),
                    replies=1,
                )
                cursor, entries = reply[0], reply[1]
                self._note_trimmed(stream, reply[2] if len(reply) > 2 else [])
                found += await self._left_over_of(stream, entries)
                if cursor == b"0-0":
                    break
        return found

    def _note_trimmed(self, stream: str, gone: list[Reply]) -> None:
        if gone:
            self.trimmed += len(gone)
            _log.error("stream %s: %d entries were trimmed before group %s handled them", stream, len(gone), self.group)

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        key, retry = self._prefix + entry.stream, Retry(self._dialler)
        while True:
            try:
                pending, raw = await self._wire.call(
                    pack("XPENDING", key, self.group, entry.entry_id, entry.entry_id, 1)
                    + pack("XRANGE", key, entry.entry_id, entry.entry_id),
                    replies=2,
                )
                if pending:
                    await self._move_to_dead(entry, raw[0][1] if raw else codec.fields_of(as_outgoing(entry)), reason)
                self._release([entry])
                return
            except Dropped as error:
                await retry.wait(error)

    async def _move_to_dead(self, entry: Entry, fields: Sequence[bytes | str | int], reason: str) -> None:
        add = pack(
            "XADD", self._prefix + dead_letter_stream(entry.stream), "MAXLEN", "~", _DEAD_LETTERS_MAX, "*", *fields,
            "reason", reason, "origin_id", entry.entry_id, "origin_group", self.group,
        )  # fmt: skip
        request = b"".join((codec.MULTI, add, *self._packed_acks([entry]), codec.EXEC))
        replies = await self._wire.call(request, replies=4)
        for reply in replies[-1]:
            if isinstance(reply, RedisRefused):
                raise reply
        _log.error("dead-lettered %s %s (%s): %s", entry.stream, entry.entry_id, entry.kind, reason)

    async def lag(self) -> dict[str, int]:
        return {
            stream: await self._measure.unacknowledged(self._prefix + stream, self.group) for stream in self.streams
        }

    async def close(self) -> None:
        """Gives the reading connection back. Entries not acknowledged stay pending."""
        await self._blocking.close()


def as_outgoing(entry: Entry) -> Outgoing:
    """The entry as it was published."""
    return Outgoing(entry.stream, entry.kind, entry.body, entry.watermark_ns, entry.slice_start_ns)
