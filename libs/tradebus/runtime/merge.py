"""Puts the entries of several streams into one deterministic order (docs/decisions/0001).

Invariants (property-tested): entries come out ordered by (key, priority, arrival within their stream); an entry comes
out only when no gating stream can still deliver an earlier one; the order does not depend on how the streams'
entries interleave on arrival. With `paced` off every entry comes out as it came in.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tradebus.bus.port import Bus, Entry, Subscription
from tradebus.contracts.registry import event_time_ns

# More than one slice ever leaves on a stream: enough to find the last watermark in.
_RECALLED_ENTRIES = 2000


@dataclass(frozen=True, slots=True)
class Gate:
    """A stream that takes part in the order.

    `key` says what an entry is ordered by: "watermark" (a dense batch, by the end of what it completes),
    "slice_start" (a dense batch, by the start of its slice), "event" (a message, by its event time; a bare watermark
    by its value).
    """

    stream: str
    priority: int
    key: Literal["watermark", "slice_start", "event"]


@dataclass(slots=True)
class _Queue:
    gate: Gate
    watermark_ns: int = 0
    entries: deque[tuple[int, Entry]] = field(default_factory=deque)


class WatermarkMerge:
    """The ordering itself, without I/O."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._queues = {gate.stream: _Queue(gate) for gate in sorted(gates, key=lambda gate: gate.priority)}

    def offer(self, entry: Entry) -> None:
        """Takes an entry of a gating stream. A watermark never goes back."""
        queue = self._queues[entry.stream]
        key = _order_key(queue, entry)
        queue.entries.append((key, entry))
        if entry.watermark_ns is not None and entry.watermark_ns > queue.watermark_ns:
            queue.watermark_ns = entry.watermark_ns

    def promise(self, stream: str, watermark_ns: int) -> None:
        """Takes a watermark that came without an entry."""
        queue = self._queues[stream]
        queue.watermark_ns = max(queue.watermark_ns, watermark_ns)

    def release(self) -> list[Entry]:
        """The entries that nothing earlier can precede any more, in order."""
        released: list[Entry] = []
        while (queue := self._earliest()) is not None:
            released.append(queue.entries.popleft()[1])
        return released

    def held(self) -> int:
        """How many entries wait for another stream's watermark."""
        return sum(len(queue.entries) for queue in self._queues.values())

    def _earliest(self) -> _Queue | None:
        best: _Queue | None = None
        for queue in self._queues.values():
            if queue.entries and (best is None or queue.entries[0][0] < best.entries[0][0]):
                best = queue
        if best is None:
            return None
        key = best.entries[0][0]
        for other in self._queues.values():
            # What is queued already is ordered by the comparison above; only what may still come has to be waited for.
            needed_ns = key if other.gate.priority < best.gate.priority else key - 1
            if other is not best and other.watermark_ns < needed_ns:
                return None
        return best


def _order_key(queue: _Queue, entry: Entry) -> int:
    if queue.gate.key == "slice_start" and entry.slice_start_ns is not None:
        return entry.slice_start_ns
    if queue.gate.key == "event" and entry.kind != "watermark":
        try:
            return event_time_ns(entry.body)
        except ValueError:
            # A message nobody can read must still reach its handler, which sends it to the dead letters.
            return queue.watermark_ns
    return entry.watermark_ns or 0


class MergedInput:
    """A subscription whose entries come in the merged order. Streams that are not gates come as they are read.

    After a restart the watermarks that were acknowledged in an earlier life count: they are read back from the streams
    before the first entry is taken.
    """

    def __init__(self, subscription: Subscription, *, bus: Bus, gates: Sequence[Gate], paced: bool) -> None:
        self.subscription = subscription
        self._bus = bus
        self._gating = {gate.stream for gate in gates} if paced else set()
        self._merge = WatermarkMerge(gates if paced else ())
        self._started = not paced
        self.recalled: dict[str, int] = {}  # watermarks acknowledged in an earlier life, by stream

    async def next(self, *, block_ms: int) -> list[Entry]:
        """Entries to handle now, in order; empty after `block_ms` without any. The caller acknowledges them."""
        if not self._started:
            await self._recall()
        free: list[Entry] = []
        gated = False
        for entry in await self.subscription.read(block_ms=block_ms):
            if entry.stream in self._gating:
                self._merge.offer(entry)
                gated = True
            else:
                free.append(entry)
        return free + self._merge.release() if gated else free

    def gates(self, stream: str) -> bool:
        """Whether entries of the stream take part in the order."""
        return stream in self._gating

    def held(self) -> int:
        """Entries read and waiting for another stream."""
        return self._merge.held()

    async def _recall(self) -> None:
        """Each gate's newest acknowledged watermark. A paced consumer acknowledges in order, so what it has not
        acknowledged is the end of the stream."""
        tails = {stream: await self._bus.tail(stream, count=_RECALLED_ENTRIES) for stream in self._gating}
        # Asked after the tails: an entry that came in between makes us recall too little, which only waits for it.
        lag = await self.subscription.lag()
        for stream, tail in tails.items():
            acknowledged = tail[: max(0, len(tail) - lag.get(stream, 0))]
            marks = [entry.watermark_ns for entry in acknowledged if entry.watermark_ns is not None]
            if marks:
                self.recalled[stream] = max(marks)
                self._merge.promise(stream, max(marks))
        self._started = True
