"""Entries that were delivered and not acknowledged, delivered once more.

XAUTOCLAIM and a read of one's own pending entries would do it in one request, but both count a delivery for every entry
they pass, also for those this process has in hand; an entry that waits long in a merge would look like poison after the
next restart. So the pending entries are listed (XPENDING), those in hand are passed over, and the rest are claimed one
by one (XCLAIM): an entry's `deliveries` counts the times it was returned, and nothing else.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from tradebus.bus.port import Entry
from tradebus.bus.redis import codec
from tradebus.bus.redis.link import pack
from tradebus.bus.redis.wire import Wire

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """`listed` pending entries were looked at, up to `last_id`; `entries` of them are delivered now."""

    entries: list[Entry]
    listed: int
    last_id: str


class RedisPending:
    """The pending entries of one group. `trimmed` counts those that were gone from their stream, `lost` names the
    streams whose reader was not told yet."""

    def __init__(self, wire: Wire, *, prefix: str, group: str, consumer: str) -> None:
        self.trimmed = 0
        self.lost: set[str] = set()
        self._wire, self._prefix, self._group, self._consumer = wire, prefix, group, consumer

    async def own(self, stream: str, *, after: str, count: int, held: Collection[str]) -> Page:
        """A page of what this consumer read, in any life, without what it holds. May be carried out twice."""
        listing = (after, "+", count, self._consumer)
        return await self._deliver(stream, pack("XPENDING", self._key(stream), self._group, *listing), 0, after, held)

    async def idle(self, stream: str, *, after: str, count: int, held: Collection[str], min_idle_ms: int) -> Page:
        """A page of what anybody of the group read at least `min_idle_ms` ago, without what this consumer holds."""
        listing = ("IDLE", min_idle_ms, after, "+", count)
        request = pack("XPENDING", self._key(stream), self._group, *listing)
        return await self._deliver(stream, request, min_idle_ms, after, held)

    def _key(self, stream: str) -> str:
        return self._prefix + stream

    async def _deliver(self, stream: str, listing: bytes, min_idle_ms: int, after: str, held: Collection[str]) -> Page:
        (rows,) = await self._wire.persist(listing, replies=1)
        wanted = {entry_id: int(deliveries) + 1 for entry_id, _, _, deliveries in rows if entry_id.decode() not in held}
        last_id = rows[-1][0].decode() if rows else after
        if not wanted:
            return Page([], len(rows), last_id)
        claim = pack("XCLAIM", self._key(stream), self._group, self._consumer, min_idle_ms, *wanted)
        (claimed,) = await self._wire.persist(claim, replies=1)
        found = {row[0]: row[1] for row in claimed if row is not None and row[1] is not None}
        await self._forget_trimmed(stream, [entry_id for entry_id in wanted if entry_id not in found])
        return Page(
            [
                codec.read_entry(stream, entry_id, fields, deliveries=wanted[entry_id])
                for entry_id, fields in found.items()
            ],
            len(rows),
            last_id,
        )

    async def _forget_trimmed(self, stream: str, missing: list[bytes]) -> None:
        """Acknowledges, of what could not be claimed, what no longer exists; the rest somebody else took first."""
        if not missing:
            return
        looks = b"".join(pack("XRANGE", self._key(stream), entry_id, entry_id) for entry_id in missing)
        replies = await self._wire.persist(looks, replies=len(missing))
        gone = [entry_id for entry_id, found in zip(missing, replies, strict=True) if not found]
        if gone:
            self.trimmed += len(gone)
            self.lost.add(stream)
            _log.error("%s: %d entries were trimmed before group %s handled them", stream, len(gone), self._group)
            await self._wire.persist(pack("XACK", self._key(stream), self._group, *gone), replies=1)
