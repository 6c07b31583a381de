"""Which entries may be acknowledged: bookkeeping without I/O.

An entry that was handled waits for two things: that its effect is stored, and, in a paced run, that the watermark that
closes it is about to be published. Invariant (property-tested): each entry is given out once, unless put back; none
before both came true; those of one kind in the order in which they were handled.
"""

from collections.abc import Sequence

from tradebus.bus.port import Entry
from tradebus.runtime.consuming.handling import Effect


class Handled:
    """Entries that were handled and are not acknowledged yet, in the order in which they were handled."""

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        self._closed = 0  # so many of them, from the front, wait for no watermark
        self._stored = 0  # so many of them, from the front, wait for no store
        self._given = 0  # how many have left from the front
        self._ready: list[Entry] = []  # these wait for nothing

    @property
    def held(self) -> int:
        """How many entries' effect is in memory only."""
        return len(self._waiting) - self._stored

    def add(self, entry: Entry, effect: Effect, *, closes: bool) -> None:
        """`closes`: neither this entry nor those before it wait for a later watermark."""
        if effect is Effect.ALONE:
            self._ready.append(entry)
            return
        self._waiting.append(entry)
        if effect is Effect.STORED:
            self.stored()
        if closes:
            self.close()

    def close(self) -> None:
        """The watermark that those handled so far wait for leaves with the next publish."""
        self._closed = len(self._waiting)

    def mark(self) -> int:
        """Where it stands now: what `stored` may be told later."""
        return self._given + len(self._waiting)

    def stored(self, mark: int | None = None) -> None:
        """The effect of everything handled so far, or up to a `mark`, is stored."""
        up_to = len(self._waiting) if mark is None else mark - self._given
        self._stored = max(self._stored, min(up_to, len(self._waiting)))

    def drop(self, entry: Entry) -> None:
        """It was not handled after all."""
        if entry in self._waiting:
            at = self._waiting.index(entry)
            del self._waiting[at]
            self._closed -= at < self._closed
            self._stored -= at < self._stored

    def take(self) -> list[Entry]:
        """What may be acknowledged now."""
        taken, self._ready = self._ready, []
        count = min(self._stored, self._closed)
        taken += self._waiting[:count]
        del self._waiting[:count]
        self._stored, self._closed, self._given = self._stored - count, self._closed - count, self._given + count
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """They could not be acknowledged: with the next."""
        self._ready = [*entries, *self._ready]
