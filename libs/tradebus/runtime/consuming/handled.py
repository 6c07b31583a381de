"""Which entries may be acknowledged: bookkeeping without I/O.

An entry that was handled waits for two things: that its effect is stored, and, in a paced run, that the watermark that
closes it is about to be published. Invariant (property-tested): each entry is given out once, unless put back; none
before both came true; those of one kind in the order in which they were handled.
"""

from collections.abc import Sequence

from tradebus.bus.port import Entry
from tradebus.runtime.consuming.handling import Effect


class Handled:
    """Entries that were handled and are not acknowledged yet."""

    def __init__(self) -> None:
        self._waiting: list[Entry] = []
        self._closed = 0  # so many of them, from the front, wait for their effect only
        self._ready: list[Entry] = []  # these wait for nothing
        self.held = 0  # how many were added since everything was last stored

    def add(self, entry: Entry, effect: Effect, *, closes: bool) -> None:
        """`closes`: neither this entry nor those before it wait for a later watermark."""
        if effect is Effect.ALONE:
            self._ready.append(entry)
            return
        self._waiting.append(entry)
        self.held = 0 if effect is Effect.STORED else self.held + 1
        if closes:
            self.close()

    def close(self) -> None:
        """The watermark that those handled so far wait for leaves with the next publish."""
        self._closed = len(self._waiting)

    def stored(self) -> None:
        """The effect of everything handled so far is stored."""
        self.held = 0

    def drop(self, entry: Entry) -> None:
        """It was not handled after all."""
        if entry in self._waiting:
            at = self._waiting.index(entry)
            del self._waiting[at]
            self._closed -= at < self._closed

    def take(self) -> list[Entry]:
        """What may be acknowledged now."""
        taken, self._ready = self._ready, []
        if not self.held:
            taken += self._waiting[: self._closed]
            self._waiting, self._closed = self._waiting[self._closed :], 0
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """They could not be acknowledged: with the next."""
        self._ready = [*entries, *self._ready]
