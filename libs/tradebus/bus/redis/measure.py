"""How deep a stream is: from the oldest entry some group has not acknowledged to the newest.

XINFO gives each group's unread entries (`lag`) exactly, but of its pending entries only the number and the oldest id.
The entries between that id and the newest are counted by marks: at each measurement the pair (newest id, entries ever
added) is kept, and from an id above a mark's on there are at most `added now - added then` entries. Only an id older
than every mark (left by an earlier life of this process) is counted one by one.
"""

from collections import deque
from collections.abc import Set
from dataclasses import dataclass

from tradebus.bus.port import GroupState, id_order
from tradebus.bus.pressure import Credit, Silence
from tradebus.bus.redis.link import RedisRefused, Reply, pack
from tradebus.bus.redis.wire import Wire
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers

_MARKS_MAX = 256
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Depth:
    """`group` is the one furthest behind, "" where the stream has none. `last_id` is the newest entry's."""

    entries: int
    group: str
    last_id: bytes


@dataclass(frozen=True, slots=True)
class _Mark:
    newest: tuple[int, int]
    added: int


class Measure:
    """Measures streams through one wire, remembering marks per key."""

    def __init__(self, wire: Wire, *, timers: Timers) -> None:
        self._wire, self._timers = wire, timers
        self._marks: dict[str, deque[_Mark]] = {}

    async def depth(self, key: str, *, without: Set[str] = frozenset()) -> Depth:
        """Costs one round trip, and one more where a group has pending entries. A missing stream has depth 0. Groups of
        `without` do not count."""
        try:
            stream, groups = await self._wire.persist(
                pack("XINFO", "STREAM", key) + pack("XINFO", "GROUPS", key), replies=2
            )
        except RedisRefused as error:
            if "no such key" in str(error):
                return Depth(0, "", b"0-0")
            raise
        facts, marks = _facts(stream), self._marks.setdefault(key, deque(maxlen=_MARKS_MAX))
        worst = Depth(0, "", facts[b"last-generated-id"])
        for group in map(_facts, groups):
            name = group[b"name"].decode()
            if name in without:
                continue
            behind = await self._behind(key, group, facts, marks)
            if behind > worst.entries:
                worst = Depth(behind, name, worst.last_id)
        marks.append(_Mark(id_order(worst.last_id.decode()), facts[b"entries-added"]))
        return worst

    async def awaited(self, key: str, stream: str, credit: Credit, silence: Silence, *, count: int) -> Depth:
        """The depth that `count` more entries have to fit beside: without the groups that need not be waited for, where
        the stream, whose key this is, would be full with them."""
        depth = await self.depth(key)
        if depth.entries >= credit.half and silence.concerns(stream):
            now_seconds = self._timers.monotonic_ns() / NANOSECONDS_PER_SECOND
            silent = silence.of(stream, await self.groups(key), now_seconds=now_seconds)
            if silent and depth.entries + count > credit.full_at:
                return await self.depth(key, without=silent)
        return depth

    async def _behind(
        self, key: str, group: dict[bytes, Reply], stream: dict[bytes, Reply], marks: deque[_Mark]
    ) -> int:
        if not group[b"pending"]:
            if group[b"lag"] is not None:
                return int(group[b"lag"])
            return await self._count_from(key, "(" + group[b"last-delivered-id"].decode())
        (pending,) = await self._wire.persist(pack("XPENDING", key, group[b"name"]), replies=1)
        if not pending[0]:  # acknowledged between the two questions
            return int(group[b"pending"]) + int(group[b"lag"] or 0)
        oldest = pending[1].decode()
        older = [mark for mark in marks if mark.newest < id_order(oldest)]
        if older:
            return min(int(stream[b"entries-added"]) - older[-1].added, int(stream[b"length"]))
        return await self._count_from(key, oldest)

    async def _count_from(self, key: str, start: str) -> int:
        """Entries from `start` on, one by one."""
        count = 0
        while True:
            (page,) = await self._wire.persist(pack("XRANGE", key, start, "+", "COUNT", _PAGE), replies=1)
            count += len(page)
            if len(page) < _PAGE:
                return count
            start = "(" + page[-1][0].decode()

    async def unacknowledged(self, key: str, group: str) -> int:
        """Entries of a stream that `group` has not acknowledged: unread and pending."""
        try:
            (groups,) = await self._wire.persist(pack("XINFO", "GROUPS", key), replies=1)
        except RedisRefused as error:
            if "no such key" in str(error):
                return 0
            raise
        for facts in map(_facts, groups):
            if facts[b"name"].decode() == group:
                lag = facts[b"lag"]
                if lag is None:
                    lag = await self._count_from(key, "(" + facts[b"last-delivered-id"].decode())
                return int(facts[b"pending"]) + int(lag)
        return 0

    async def groups(self, key: str) -> list[GroupState]:
        """Every group of a stream, by name."""
        try:
            (rows,) = await self._wire.persist(pack("XINFO", "GROUPS", key), replies=1)
        except RedisRefused as error:
            if "no such key" in str(error):
                return []
            raise
        found = []
        for name in sorted(_facts(row)[b"name"].decode() for row in rows):
            (consumers,) = await self._wire.persist(pack("XINFO", "CONSUMERS", key, name), replies=1)
            idle_ms = [int(_facts(row)[b"idle"]) for row in consumers]
            left = await self.unacknowledged(key, name)
            found.append(GroupState(name, left, min(idle_ms) / 1000 if idle_ms else None))
        return found


def _facts(flat: list[Reply]) -> dict[bytes, Reply]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
