"""How one consumer of a group reads on Redis, on a connection of its own because its reads block.

    recovering: the consumer's own pending entries, page by page (`redis_pending`) ──► new entries (">"), for ever

Invariants (with those of `tradebus.bus.port`):
- Each entry is returned once per process life: after a lost connection the pending entries are read again, because a
  reply may have been lost with it, and those already returned (`held`) are passed over.
- A caller cancelled in the middle of a read loses nothing: entries become `held` only in the step that returns them,
  and the reply of a blocking read waits for the next caller.
- Entries trimmed before this group read them are told of (`Entry.after_gap`). A read that comes back with less than a
  page of a stream has reached its end, and a stream is far longer than a page: nothing can be missing before it. After
  a whole page the entry before it is looked for: where that one is still there, nothing after it was trimmed.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from tradebus.bus.port import Entry, age
from tradebus.bus.redis import codec
from tradebus.bus.redis.dial import Dialler, Retry
from tradebus.bus.redis.link import Dropped, RedisRefused, Reply, checked, pack
from tradebus.bus.redis.pending import RedisPending
from tradebus.bus.redis.wire import Wire

_log = logging.getLogger(__name__)
# So many entries of one stream in one read are a page: its reader is behind.
_PAGE = 64


class RedisReader:
    """Reads `streams` as `consumer` of `group`."""

    def __init__(
        self, dialler: Dialler, wire: Wire, *, prefix: str, streams: Sequence[str], group: str, consumer: str
    ) -> None:
        self.pending = RedisPending(wire, prefix=prefix, group=group, consumer=consumer)
        self.held: dict[str, set[str]] = {stream: set() for stream in streams}
        self._streams, self._group, self._consumer = tuple(streams), group, consumer
        self._dialler, self._wire, self._blocking = dialler, wire, Wire(dialler)
        self._keys = tuple(prefix + stream for stream in streams)
        self._names = {(prefix + stream).encode(): stream for stream in streams}
        self._cursors: dict[str, str] | None = dict.fromkeys(streams, "-")  # None once nothing is left over
        self._in_flight: asyncio.Future[list[Reply]] | None = None
        self._reading = False
        self._reply: Reply = None  # of a read of new entries, not yet given out
        self._last_ids: dict[str, str] = {}  # of each stream, the newest entry that this group was given

    async def create_groups(self) -> None:
        """Makes the group on every stream, from its beginning; one that is there stays as it is."""
        for stream, key in zip(self._streams, self._keys, strict=True):
            try:
                await self._wire.persist(pack("XGROUP", "CREATE", key, self._group, "0", "MKSTREAM"), replies=1)
            except RedisRefused as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise
                if stream not in self._last_ids:
                    await self._find_position(stream, key)
            else:
                if self._last_ids.pop(stream, None) is not None:  # it had been there in this life
                    self.pending.lost.add(stream)

    async def _find_position(self, stream: str, key: str) -> None:
        (groups,) = await self._wire.persist(pack("XINFO", "GROUPS", key), replies=1)
        for flat in groups:
            facts = dict(zip(flat[::2], flat[1::2], strict=True))
            if facts[b"name"].decode() == self._group and facts[b"last-delivered-id"] != b"0-0":
                self._last_ids[stream] = facts[b"last-delivered-id"].decode()

    async def _make_again(self, error: RedisRefused) -> None:
        """Makes groups that are gone, as from a Redis that lost its data. Raises any other error."""
        if not str(error).startswith("NOGROUP"):
            raise error
        _log.warning("group %s is gone from Redis: made again from the beginning", self._group)
        await self.create_groups()

    async def read(self, *, block_ms: int, count: int) -> list[Entry]:
        """See `tradebus.bus.port.Subscription.read`."""
        if self._reading:
            raise RuntimeError("a subscription is read by one task at a time")
        self._reading = True
        retry: Retry | None = None
        try:
            while True:
                try:
                    found = await self._read_left_over(count)
                    if found:
                        return self._told(found)
                    if self._reply is None:
                        self._reply = await self._read_new(block_ms, count)
                    await self._look_for_gaps(self._reply, min(count, _PAGE))
                    reply, self._reply = self._reply, None
                    return self._told(self._take(reply))
                except Dropped as error:
                    self._cursors, self._reply = dict.fromkeys(self._streams, "-"), None
                    retry = retry or Retry(self._dialler)
                    await retry.pause(error)
                except RedisRefused as error:
                    await self._make_again(error)
        finally:
            self._reading = False

    async def _read_new(self, block_ms: int, count: int) -> Reply:
        if self._in_flight is None:
            command: list[bytes | str | int] = ["XREADGROUP", "GROUP", self._group, self._consumer, "COUNT", count]
            if block_ms > 0:
                command += ("BLOCK", block_ms)
            request = pack(*command, "STREAMS", *self._keys, *(">" for _ in self._keys))
            self._in_flight = await self._blocking.send(request, replies=1, block_ms=block_ms)
        in_flight, self._in_flight = self._in_flight, None
        try:
            replies = await in_flight
        except asyncio.CancelledError:  # the reply is for the next caller (a shield would cost a turn of the loop)
            self._in_flight = self._blocking.keep(in_flight) if in_flight.cancelled() else in_flight
            raise
        return checked(replies)[0]

    async def _look_for_gaps(self, reply: Reply, page: int) -> None:
        """Notes the streams of a reply of which something before its first entry may have been trimmed unread."""
        asked = [
            (self._names[key], key, self._last_ids[self._names[key]])
            for key, entries in reply or ()
            if len(entries) >= page and self._names[key] in self._last_ids
        ]
        if not asked:
            return
        looks = b"".join(pack("XRANGE", key, last_id, last_id) for _, key, last_id in asked)
        found = await self._wire.persist(looks, replies=len(asked))
        self.pending.lost.update(stream for (stream, _, _), entry in zip(asked, found, strict=True) if not entry)

    def _told(self, entries: list[Entry]) -> list[Entry]:
        """The entries, the first of each stream of which something was lost marked so."""
        lost = self.pending.lost
        if not lost:
            return entries
        for at, entry in enumerate(entries):
            if entry.stream in lost:
                lost.remove(entry.stream)
                entries[at] = replace(entry, after_gap=True)
        return entries

    def _take(self, reply: Reply) -> list[Entry]:
        found: list[Entry] = []
        for key, entries in reply or ():
            stream = self._names[key]
            held = self.held[stream]
            for entry_id, fields in entries:
                entry = codec.read_entry(stream, entry_id, fields)
                held.add(entry.entry_id)
                found.append(entry)
            if entries:
                self._last_ids[stream] = found[-1].entry_id
        if reply and len(reply) > 1:
            found.sort(key=age)
        return found

    async def _read_left_over(self, count: int) -> list[Entry]:
        """The next page of pending entries not yet returned in this life; [] when all have been."""
        while self._cursors is not None:
            found: list[Entry] = []
            cursors: dict[str, str] = {}
            for stream, after in self._cursors.items():
                page = await self.pending.own(stream, after=after, count=count, held=self.held[stream])
                found += page.entries
                if page.listed:
                    cursors[stream] = f"({page.last_id}"
            self._cursors = cursors or None
            if found:
                return self.hold(sorted(found, key=age))
        return []

    async def claim_idle(self, *, min_idle_ms: int, count: int) -> list[Entry]:
        """See `tradebus.bus.port.Subscription.claim_idle`."""
        found: list[Entry] = []
        for stream, held in self.held.items():
            after, listed = "-", 1
            while listed and len(found) < count:
                left = count - len(found)
                try:
                    page = await self.pending.idle(stream, after=after, count=left, held=held, min_idle_ms=min_idle_ms)
                except RedisRefused as error:
                    await self._make_again(error)
                    break
                found += page.entries
                after, listed = f"({page.last_id}", page.listed
        return self._told(self.hold(found))

    def hold(self, entries: list[Entry]) -> list[Entry]:
        """Marks entries as returned in this life."""
        for entry in entries:
            self.held[entry.stream].add(entry.entry_id)
        return entries

    def release(self, entries: Sequence[Entry]) -> None:
        """Lets go of entries that were acknowledged."""
        for entry in entries:
            self.held[entry.stream].discard(entry.entry_id)

    async def close(self) -> None:
        """Gives the connection back. Entries not acknowledged stay pending."""
        await self._blocking.close()
