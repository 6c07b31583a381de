"""How one consumer of a group reads on Redis, on a connection of its own because its reads block.

    recovering: the consumer's own pending entries, page by page (`redis_pending`) ──► new entries (">"), for ever

Invariants (with those of `tradebus.bus.port`):
- Each entry is returned once per process life: after a lost connection the pending entries are read again, because a
  reply may have been lost with it, and those already returned (`held`) are passed over.
- A caller cancelled in the middle of a read loses nothing: entries become `held` only in the step that returns them,
  and the reply of a blocking read waits for the next caller.
"""

import asyncio
import logging
from collections.abc import Sequence

from tradebus.bus import codec
from tradebus.bus.dial import Dialler, Retry
from tradebus.bus.link import Dropped, RedisRefused, Reply, checked, pack
from tradebus.bus.port import Entry, age
from tradebus.bus.redis_pending import RedisPending
from tradebus.bus.wire import Wire

_log = logging.getLogger(__name__)


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

    async def create_groups(self) -> None:
        """Makes the group on every stream, from its beginning; one that is there stays as it is."""
        for key in self._keys:
            try:
                await self._wire.persist(pack("XGROUP", "CREATE", key, self._group, "0", "MKSTREAM"), replies=1)
            except RedisRefused as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

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
                    return found or self._take(await self._read_new(block_ms, count))
                except Dropped as error:
                    self._cursors = dict.fromkeys(self._streams, "-")
                    retry = retry or Retry(self._dialler)
                    await retry.wait(error)
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

    def _take(self, reply: Reply) -> list[Entry]:
        found: list[Entry] = []
        for key, entries in reply or ():
            stream = self._names[key]
            held = self.held[stream]
            for entry_id, fields in entries:
                entry = codec.read_entry(stream, entry_id, fields)
                held.add(entry.entry_id)
                found.append(entry)
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
        return self.hold(found)

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
