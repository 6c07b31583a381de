"""What a service may ask of the bus. Two implementations, `RedisBus` and `MemoryBus`, pass one test suite.

Invariants (property-tested on both):
- Entries of one stream are read in the order they were published; a publish is all or nothing.
- An entry read and not acknowledged is delivered again: to the same consumer after a restart, or to another of its
  group once it has been idle long enough.
- A watermark is a promise on a stream: nothing that is published on it later has an event time at or below it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DEAD_LETTERS_MAX = 10_000  # of each stream; older ones are dropped


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One entry to publish. `kind` is a message TYPE, a record name ("ticks", "candles"), or "watermark"."""

    stream: str
    kind: str
    body: bytes = b""
    watermark_ns: int | None = None
    # Dense entries: the half-open event-time interval [slice_start_ns, watermark_ns + 1) that the batch completes.
    slice_start_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as read. `deliveries` counts this delivery: above 1 after a crash or a claim.

    `after_gap`: entries of this stream that this group never handled are gone from before it (a live dense stream was
    trimmed past a slow reader, a sparse one past a silent one, or Redis lost its data). Whoever keeps state from the
    stream builds it anew first.
    """

    stream: str
    entry_id: str
    kind: str
    body: bytes
    watermark_ns: int | None = None
    slice_start_ns: int | None = None
    deliveries: int = 1
    after_gap: bool = False
    origin: "Origin | None" = None  # of a dead letter


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a dead letter comes from: why it lies there, its id in its own stream, and the group that gave it up."""

    reason: str
    entry_id: str
    group: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be handled. `entry.stream` is the dead-letter stream; `origin_*` say what it was."""

    entry: Entry
    reason: str
    origin_stream: str
    origin_id: str
    origin_group: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group of a stream: how many entries it has not acknowledged, and how long since any consumer of it has read
    (None where none ever has)."""

    name: str
    unacknowledged: int
    silent_seconds: float | None


class Subscription(Protocol):
    """One consumer of one group on some streams. Groups are created on first use, from the streams' beginning.

    One `read` at a time. A `read` that is cancelled loses nothing: its entries come with the next one.
    """

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        """Entries this consumer has not acknowledged, oldest first: those left from before a restart, then new ones.

        Empty after `block_ms` without any; 0 does not wait. `count` bounds the entries of each stream. An entry is
        returned once per process life, however often this is called.
        """

    async def ack(self, entries: Sequence[Entry]) -> None:
        """Done with them, for ever."""

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        """Publishes, then acknowledges, in one round trip and in this order: a crash between leaves both undone or a
        duplicate publish, never a loss."""

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        """Takes over entries another consumer of the group read at least `min_idle_ms` ago and never acknowledged.

        At most `count`, stream by stream, oldest first; `deliveries` says how often each has been tried.
        """

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        """Moves the entry to `<stream>.dead` with the reason, and acknowledges it; both or neither.

        Does nothing for an entry this group has already acknowledged.
        """

    async def take_in_hand(self, entry: Entry) -> int:
        """Notes, where a crash does not erase it, that this consumer is about to handle the entry; returns how many of
        its lives have ended with this entry in hand, one after the other.

        Only an entry that comes again needs it (`deliveries` above 1): of a whole page that is delivered again after a
        crash this names the one that crashed the process.
        """

    async def erase(self, entries: Sequence[Entry]) -> None:
        """Done with them, for ever, and nobody can read them in their stream any more."""

    async def lag(self) -> dict[str, int]:
        """Entries not yet acknowledged by this group, per stream."""

    async def close(self) -> None:
        """Gives back what reading needs. Entries not acknowledged stay so."""


class ChannelListener(Protocol):
    """The bodies broadcast on one channel while this listens. Survives lost connections; what was sent during one is
    lost, as pub/sub is."""

    def __aiter__(self) -> "ChannelListener": ...

    async def __anext__(self) -> bytes: ...

    async def ready(self) -> None:
        """Returns once this listens: what is broadcast from here on is received."""

    async def aclose(self) -> None:
        """Ends the iteration."""


class Bus(Protocol):
    async def publish(self, outgoing: Sequence[Outgoing], *, urgent: bool = False) -> None:
        """Appends all entries atomically and in order. `urgent` ones wait for no room: few, as KILL is, they fit into
        what a full stream keeps free.

        On a stream that waits (see `tradebus.contracts.streams.Overflow`) it waits (back-pressure) while the slowest
        group is further behind than the stream's bound allows, rather than trim what was never acknowledged; raises
        `tradebus.bus.pressure.BackPressureTimeout` when that takes too long. In a live run it does not wait for a group
        that has been silent for minutes where the stream's entries are in Postgres too. On a live dense stream nobody
        is waited for: the oldest entries go, and a reader that had not read them is told (`Entry.after_gap`)."""

    def at_most(self, stream: str) -> int:
        """Entries of the stream that one publish may well have: it finds room while most of the stream is unread."""

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> Subscription: ...

    async def leave(self, streams: Sequence[str], *, group: str) -> None:
        """Removes the group from these streams, with all it had not acknowledged: publishers no longer wait for it.

        Harmless where there is no such group. A subscription of it on one of them must not be read any more.
        """

    async def groups(self, stream: str) -> list["GroupState"]:
        """The groups of a stream, by name; none for a stream that is not there."""

    async def last_watermark(self, stream: str) -> int | None:
        """The newest watermark on a stream, None where it has none."""

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        """The newest `count` entries, oldest first, read without a group. For restarts and for `tradebus tail`."""

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        """Entries published after the given ids ("0" = from the beginning, "$" = from now), without a group.

        A "$", or a stream missing from `after`, is replaced in `after` by the id it stood for, so that nothing is
        missed between two calls. The caller moves an id on when it has dealt with an entry.
        """

    async def broadcast(self, channel: str, body: bytes) -> None:
        """Redis pub/sub: reaches whoever listens now."""

    def listen(self, channel: str) -> ChannelListener:
        """Messages broadcast on `channel`, from the first `ready` or iteration on."""

    async def dead_letters(self, stream: str, *, count: int) -> list[DeadLetter]:
        """The newest `count` dead letters of `stream`, oldest first."""

    async def close(self) -> None: ...


def dead_letter_stream(stream: str) -> str:
    """Where entries of `stream` go that could not be handled."""
    return f"{stream}.dead"


def age(entry: Entry) -> tuple[int, int]:
    """Sort key: entries of several streams by when they were published (on Redis to the millisecond)."""
    return id_order(entry.entry_id)


def id_order(entry_id: str) -> tuple[int, int]:
    """Sort key of an entry id, `<milliseconds>-<sequence>`."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
