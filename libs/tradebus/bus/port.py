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
    """One entry as read. `deliveries` counts this delivery: above 1 after a crash or a claim."""

    stream: str
    entry_id: str
    kind: str
    body: bytes
    watermark_ns: int | None = None
    slice_start_ns: int | None = None
    deliveries: int = 1


class Subscription(Protocol):
    """One consumer of one group on some streams. Groups are created on first use, from the streams' beginning."""

    async def read(self, *, block_ms: int, count: int = 256) -> list[Entry]:
        """Entries this consumer has not acknowledged, oldest first: those left from before a restart, then new ones.

        Empty after `block_ms` without any. An entry is returned once per process life, however often this is called.
        """

    async def ack(self, entries: Sequence[Entry]) -> None:
        """Done with them, for ever."""

    async def publish_and_ack(self, outgoing: Sequence[Outgoing], entries: Sequence[Entry]) -> None:
        """Publishes, then acknowledges, in one round trip and in this order: a crash between leaves both undone or a
        duplicate publish, never a loss."""

    async def claim_idle(self, *, min_idle_ms: int, count: int = 64) -> list[Entry]:
        """Takes over entries another consumer of the group read at least `min_idle_ms` ago and never acknowledged."""

    async def dead_letter(self, entry: Entry, *, reason: str) -> None:
        """Moves the entry to `<stream>.dead` with the reason, and acknowledges it."""

    async def lag(self) -> dict[str, int]:
        """Entries not yet acknowledged by this group, per stream."""


class Bus(Protocol):
    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Appends all entries atomically and in order. Waits (back-pressure) while a stream's slowest group is further
        behind than the stream's bound allows, rather than trim what was never read."""

    async def subscribe(self, streams: Sequence[str], *, group: str, consumer: str) -> Subscription: ...

    async def last_watermark(self, stream: str) -> int | None:
        """The newest watermark on a stream, None where it has none."""

    async def tail(self, stream: str, *, count: int) -> list[Entry]:
        """The newest `count` entries, oldest first, read without a group. For restarts and for `tradebus tail`."""

    async def follow(self, streams: Sequence[str], *, after: dict[str, str], block_ms: int) -> list[Entry]:
        """Entries published after the given ids ("0" = from the beginning, "$" = from now), without a group."""

    async def broadcast(self, channel: str, body: bytes) -> None:
        """Redis pub/sub: reaches whoever listens now."""

    async def close(self) -> None: ...


def dead_letter_stream(stream: str) -> str:
    """Where entries of `stream` go that could not be handled."""
    return f"{stream}.dead"
