"""One stream of the in-memory bus, and its groups.

Entries are numbered 1, 2, 3 … in their stream; an id is "<order>-<number>", where the order counts the entries of all
streams of the bus, so that ids compare across streams as Redis's do. Invariant: what is trimmed has been acknowledged
by every group, since `fits` refuses what would make the stream outgrow its bound while a group is behind.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from tradebus.bus.port import Entry, Outgoing
from tradebus.bus.pressure import Credit
from tradebus.kernel.clock import Clock


@dataclass(slots=True)
class Pending:
    """An entry that was delivered and not acknowledged."""

    consumer: str
    delivered_ns: int
    deliveries: int = 1


@dataclass(slots=True)
class Group:
    """`position` is the number of the next unread entry; `pending` is in order of first delivery, as the stream is."""

    position: int = 1
    pending: dict[int, Pending] = field(default_factory=dict)

    @property
    def oldest_unfinished(self) -> int:
        """The number of the oldest entry this group has not acknowledged."""
        return next(iter(self.pending), self.position)


class MemoryStream:
    """Entries oldest first, bounded by `max_entries`."""

    def __init__(self, name: str, max_entries: int, clock: Clock) -> None:
        self.name, self.max_entries = name, max_entries
        self._credit = Credit(max_entries)
        self._clock = clock
        self._entries: deque[Entry] = deque()
        self._next = 1
        self._groups: dict[str, Group] = {}

    def group(self, name: str) -> Group:
        """The group's state; made at the beginning of the stream where it is missing."""
        return self._groups.setdefault(name, Group(position=self._first))

    def remove_group(self, name: str) -> None:
        """Forgets the group and what it had not acknowledged."""
        self._groups.pop(name, None)

    @property
    def _first(self) -> int:
        return self._next - len(self._entries)

    def depth(self) -> tuple[int, str]:
        """Entries from the oldest unfinished one to the newest, and the group it is unfinished for ("": no group)."""
        oldest, name = min(((group.oldest_unfinished, name) for name, group in self._groups.items()), default=(0, ""))
        return (self._next - oldest, name) if name else (0, "")

    def fits(self, count: int) -> bool:
        """Whether `count` more entries leave every unfinished one in place. Raises ValueError where they never can."""
        return self._credit.measured(depth=self.depth()[0], count=count)

    def append(self, outgoing: Outgoing, *, order: int) -> Entry:
        """Adds one entry and trims the stream to its bound."""
        entry_id = f"{order}-{self._next}"
        entry = Entry(self.name, entry_id, outgoing.kind, outgoing.body, outgoing.watermark_ns, outgoing.slice_start_ns)
        self._entries.append(entry)
        self._next += 1
        if len(self._entries) > self.max_entries:
            self._entries.popleft()
        return entry

    def at(self, number: int) -> Entry:
        """The entry with this number. Raises IndexError where it was trimmed."""
        if number < self._first:
            raise IndexError(f"{self.name}: entry {number} was trimmed")
        return self._entries[number - self._first]

    def deliver(self, group: Group, consumer: str, *, count: int) -> list[Entry]:
        """The next unread entries of a group, now pending with `consumer`."""
        start = max(group.position, self._first)
        numbers = range(start, min(start + count, self._next))
        for number in numbers:
            group.pending[number] = Pending(consumer, self._clock.now_ns())
        group.position = numbers.stop if numbers else group.position
        return [self.at(number) for number in numbers]

    def deliver_again(self, group: Group, number: int, consumer: str) -> Entry:
        """A pending entry once more, now with `consumer`."""
        pending = group.pending[number]
        pending.consumer, pending.delivered_ns = consumer, self._clock.now_ns()
        pending.deliveries += 1
        entry = self.at(number)
        return Entry(
            entry.stream, entry.entry_id, entry.kind, entry.body, entry.watermark_ns, entry.slice_start_ns,
            pending.deliveries,
        )  # fmt: skip

    def idle(self, group: Group, *, min_idle_ms: int) -> list[int]:
        """Numbers of the entries that have been pending for at least `min_idle_ms`, oldest first."""
        limit_ns = self._clock.now_ns() - min_idle_ms * 1_000_000
        return [number for number, pending in group.pending.items() if pending.delivered_ns <= limit_ns]

    def lag(self, group: Group) -> int:
        """Entries the group has not acknowledged."""
        return self._next - max(group.position, self._first) + len(group.pending)

    def newest(self, count: int) -> list[Entry]:
        """The newest `count` entries, oldest first."""
        return list(islice(self._entries, max(0, len(self._entries) - count), None))

    def after(self, entry_id: str, *, count: int = 256) -> list[Entry]:
        """Up to `count` entries after an id."""
        skip = max(0, number_of(entry_id) + 1 - self._first)
        return list(islice(self._entries, skip, skip + count))

    def last_watermark(self) -> int | None:
        """The newest watermark, None where no entry has one."""
        return next((one.watermark_ns for one in reversed(self._entries) if one.watermark_ns is not None), None)


def number_of(entry_id: str) -> int:
    """The number of an entry by its id."""
    return int(entry_id.partition("-")[2] or 0)
