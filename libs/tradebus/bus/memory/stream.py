"""One stream of the in-memory bus, and its groups.

Entries are numbered 1, 2, 3 … in their stream; an id is "<order>-<number>", where the order counts the entries of all
streams of the bus, so that ids compare across streams as Redis's do. Invariant: of a stream that waits, what is trimmed
has been acknowledged by every group, since `fits` refuses what would make the stream outgrow its bound while a group is
behind. Of one that is trimmed live, a group's next entry says where something it never handled is gone.
"""

from collections import deque
from collections.abc import Set
from dataclasses import dataclass, field, replace
from itertools import islice

from tradebus.bus.port import Entry, GroupState, Origin, Outgoing, age
from tradebus.bus.pressure import Credit, Silence
from tradebus.kernel.clock import Clock


@dataclass(slots=True)
class Pending:
    """An entry that was delivered and not acknowledged."""

    consumer: str
    delivered_ns: int
    deliveries: int = 1


@dataclass(slots=True)
class ConsumerGroup:
    """`position` is the number of the next unread entry; `pending` is in order of first delivery, as the stream is.
    `lost`: something it never handled is gone, and nobody was told yet. `read_ns`: when it was last read, 0 for never.
    """

    position: int = 1
    pending: dict[int, Pending] = field(default_factory=dict)
    lost: bool = False
    read_ns: int = 0

    @property
    def oldest_unfinished(self) -> int:
        """The number of the oldest entry this group has not acknowledged."""
        return next(iter(self.pending), self.position)


class MemoryStream:
    """Entries oldest first, bounded by `max_entries`."""

    def __init__(self, name: str, max_entries: int, clock: Clock, *, waits: bool, silence: Silence) -> None:
        self.name, self.max_entries, self._waits, self._silence = name, max_entries, waits, silence
        self._credit = Credit(max_entries)
        self._clock = clock
        self._entries: deque[Entry | None] = deque()  # None where one was erased
        self._next = 1
        self._groups: dict[str, ConsumerGroup] = {}

    def group(self, name: str) -> ConsumerGroup:
        """The group's state; made at the beginning of the stream where it is missing."""
        found = self._groups.get(name)
        if found is None:
            found = self._groups[name] = ConsumerGroup(position=self._first)
        return found

    def remove_group(self, name: str) -> None:
        """Forgets the group and what it had not acknowledged."""
        self._groups.pop(name, None)

    @property
    def _first(self) -> int:
        return self._next - len(self._entries)

    def depth(self, *, without: Set[str] = frozenset()) -> tuple[int, str]:
        """Entries from the oldest unfinished one to the newest, and the group it is unfinished for ("": no group).
        Groups of `without` do not count."""
        counting = ((group.oldest_unfinished, name) for name, group in self._groups.items() if name not in without)
        oldest, name = min(counting, default=(0, ""))
        return (self._next - oldest, name) if name else (0, "")

    def fits(self, count: int) -> bool:
        """Whether `count` more entries leave every unfinished one in place. Raises ValueError where they never can."""
        depth = self.depth()[0] if self._waits else 0
        if depth >= self._credit.half and self._silence.concerns(self.name):
            silent = self._silence.of(self.name, self.states(), now_seconds=self._clock.now_ns() / 1e9)
            if silent and depth + count > self._credit.full_at:
                depth = self.depth(without=silent)[0]
        return self._credit.measured(depth=depth, count=count)

    def append(self, outgoing: Outgoing, *, order: int, origin: Origin | None = None) -> Entry:
        """Adds one entry and trims the stream to its bound."""
        entry = Entry(
            self.name, f"{order}-{self._next}", outgoing.kind, outgoing.body, outgoing.watermark_ns,
            outgoing.slice_start_ns, origin=origin,
        )  # fmt: skip
        self._entries.append(entry)
        self._next += 1
        if len(self._entries) > self.max_entries:
            self._entries.popleft()
        return entry

    def order_of(self, number: int) -> tuple[int, int]:
        """Sort key of an entry among those of all streams; what is gone comes first."""
        try:
            return age(self.at(number))
        except IndexError:
            return 0, number

    def at(self, number: int) -> Entry:
        """The entry with this number. Raises IndexError where it was trimmed or erased."""
        entry = self._entries[number - self._first] if number >= self._first else None
        if entry is None:
            raise IndexError(f"{self.name}: entry {number} is gone")
        return entry

    def erase(self, number: int) -> None:
        """Takes one entry out of the middle; harmless where it is gone already."""
        if self._first <= number < self._next:
            self._entries[number - self._first] = None

    def deliver(self, group: ConsumerGroup, consumer: str, *, count: int) -> list[Entry]:
        """The next unread entries of a group, now pending with `consumer`."""
        group.read_ns = self._clock.now_ns()
        if group.position < self._first:
            group.position, group.lost = self._first, True
        found: list[Entry] = []
        for number in range(group.position, min(group.position + count, self._next)):
            entry = self._entries[number - self._first]  # near its end a deque is quick to index, and slow to walk to
            group.position = number + 1
            if entry is not None:
                group.pending[number] = Pending(consumer, self._clock.now_ns())
                found.append(self._told(group, entry))
        return found

    def deliver_again(self, group: ConsumerGroup, number: int, consumer: str) -> Entry | None:
        """A pending entry once more, now with `consumer`; None, and forgotten, where it is gone."""
        pending = group.pending[number]
        try:
            entry = self.at(number)
        except IndexError:
            del group.pending[number]
            group.lost = True
            return None
        group.read_ns = self._clock.now_ns()
        pending.consumer, pending.delivered_ns = consumer, group.read_ns
        pending.deliveries += 1
        return self._told(group, replace(entry, deliveries=pending.deliveries))

    def _told(self, group: ConsumerGroup, entry: Entry) -> Entry:
        if not group.lost:
            return entry
        group.lost = False
        return replace(entry, after_gap=True)

    def idle(self, group: ConsumerGroup, *, min_idle_ms: int) -> list[int]:
        """Numbers of the entries that have been pending for at least `min_idle_ms`, oldest first."""
        limit_ns = self._clock.now_ns() - min_idle_ms * 1_000_000
        return [number for number, pending in group.pending.items() if pending.delivered_ns <= limit_ns]

    def lag(self, group: ConsumerGroup) -> int:
        """Entries the group has not acknowledged."""
        unread = islice(self._entries, max(0, group.position - self._first), None)
        return sum(entry is not None for entry in unread) + len(group.pending)

    def states(self) -> list[GroupState]:
        """Every group, by name."""
        now_ns = self._clock.now_ns()
        return [
            GroupState(name, self.lag(group), (now_ns - group.read_ns) / 1e9 if group.read_ns else None)
            for name, group in sorted(self._groups.items())
        ]

    def newest(self, count: int) -> list[Entry]:
        """The newest `count` entries, oldest first."""
        there = [entry for entry in reversed(self._entries) if entry is not None]
        return there[:count][::-1]

    def after(self, entry_id: str, *, count: int = 256) -> list[Entry]:
        """Up to `count` entries after an id."""
        skip = max(0, number_of(entry_id) + 1 - self._first)
        return list(islice((entry for entry in islice(self._entries, skip, None) if entry is not None), count))

    def last_watermark(self) -> int | None:
        """The newest watermark, None where no entry has one."""
        there = (one for one in reversed(self._entries) if one is not None)
        return next((one.watermark_ns for one in there if one.watermark_ns is not None), None)


def number_of(entry_id: str) -> int:
    """The number of an entry by its id."""
    return int(entry_id.partition("-")[2] or 0)
