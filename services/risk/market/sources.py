"""Where signals come from, and how far all of them have got.

Each source has a stream and watermarks of its own. Execution may go on to an instant once every source has promised
that nothing of it follows, and risk has answered what came: to the earliest of their watermarks.
"""

from collections.abc import Callable, Mapping, Sequence

from services.risk.messages import INTENTS_STREAM
from tradebus.bus.port import Entry, Outgoing
from tradebus.contracts.streams import Stream

Recalled = Callable[[], Mapping[str, int]]


class SignalSources:
    """`recalled` gives the watermarks by stream that were acknowledged in an earlier life.

    Invariants (property-tested): the watermark told is that of the source which is furthest behind, and never goes
    back; a life that begins anew is owed nothing that the last one was not.
    """

    def __init__(self, sources: Sequence[Stream], *, recalled: Recalled) -> None:
        self.streams = tuple(source.name for source in sources)
        self._recalled = recalled
        self._reached_ns = dict.fromkeys(self.streams, 0)
        self._told_ns = 0

    def owed(self, entry: Entry) -> Sequence[Outgoing]:
        """The watermark on intents that an entry completes, once it is handled."""
        if entry.stream not in self._reached_ns or entry.watermark_ns is None:
            return ()
        self._reached_ns[entry.stream] = max(self._reached_ns[entry.stream], entry.watermark_ns)
        recalled = self._recalled()
        all_ns = min(max(reached, recalled.get(stream, 0)) for stream, reached in self._reached_ns.items())
        # One source is told each time, as it is heard: what is said twice is said twice.
        if all_ns == 0 or (len(self.streams) > 1 and all_ns <= self._told_ns):
            return ()
        self._told_ns = all_ns
        return [Outgoing(INTENTS_STREAM, "watermark", watermark_ns=all_ns)]
