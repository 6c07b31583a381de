"""Which entries may be acknowledged: bookkeeping without I/O.

An entry that was handled waits for three things: that nothing of it is still to come, that its effect is stored, and,
in a paced run, that the watermark that closes it is about to be published. Invariant (property-tested): each entry is
given out once, unless put back; none before all came true; those of one kind in the order in which they were handled.
"""

from collections import deque
from collections.abc import Callable, Sequence

from tradebus.bus.port import Entry
from tradebus.runtime.consuming.handling import Effect


class Handled:
    """Entries that were handled and are not acknowledged yet, numbered in the order in which they were handled."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Entry]] = []
        self._number = 0  # of the last one
        self._committed = 0  # the effect of those up to this number, as far as it was in memory, is stored
        self._open: deque[tuple[int, Callable[[], bool]]] = deque()  # of which something is still to come
        self._closed = 0  # so many of them, from the front, wait for no watermark
        self._stored = 0  # so many of them, from the front, wait for no store
        self._ready: list[Entry] = []  # these wait for nothing

    @property
    def held(self) -> int:
        """How many entries' effect is in memory only."""
        return len(self._waiting) - self._stored

    @property
    def has_ready(self) -> bool:
        """Whether something may be acknowledged now."""
        return bool(self._ready) or min(self._stored, self._closed) > 0

    @property
    def to_store(self) -> int:
        """How many have come since what was in memory was stored last."""
        return self._number - self._committed

    def add(
        self, entry: Entry, effect: Effect, *, closes: bool, is_open: Callable[[], bool] | None = None
    ) -> None:  # fmt: skip
        """`closes`: neither this entry nor those before it wait for a later watermark. `is_open` says whether something
        of it is still to come."""
        if effect is Effect.ALONE:
            self._ready.append(entry)
            return
        self._number += 1
        self._waiting.append((self._number, entry))
        if is_open is not None:
            self._open.append((self._number, is_open))
        if effect is Effect.STORED:
            self.stored()
        if closes:
            self.close()

    def close(self) -> None:
        """The watermark that those handled so far wait for leaves with the next publish."""
        self._closed = len(self._waiting)

    @property
    def number(self) -> int:
        """Of the entry handled last."""
        return self._number

    def mark(self) -> tuple[int, int]:
        """Where it stands now: what `stored` may be told later. An entry that is open, and what comes after it, is not
        stored by what is stored now."""
        while self._open and not self._open[0][1]():
            self._open.popleft()
        return self._number, self._open[0][0] - 1 if self._open else self._number

    def stored(self, mark: tuple[int, int] | None = None) -> None:
        """The effect of everything handled so far, or up to a `mark`, is stored."""
        self._committed, up_to = mark or self.mark()
        while self._stored < len(self._waiting) and self._waiting[self._stored][0] <= up_to:
            self._stored += 1

    def lose_held(self) -> int:
        """The effect of what is held is in memory no more: none of it is acknowledged. How many that are."""
        lost = self.held
        self._committed = self._number
        self._open.clear()
        del self._waiting[self._stored :]
        self._closed = min(self._closed, self._stored)
        return lost

    def drop(self, entry: Entry) -> None:
        """It was not handled after all."""
        at = next((at for at, (_, one) in enumerate(self._waiting) if one is entry), None)
        if at is not None:
            number, _ = self._waiting.pop(at)
            self._open = deque(one for one in self._open if one[0] != number)
            self._closed -= at < self._closed
            self._stored -= at < self._stored

    def take(self) -> list[Entry]:
        """What may be acknowledged now."""
        taken, self._ready = self._ready, []
        count = min(self._stored, self._closed)
        taken += [entry for _, entry in self._waiting[:count]]
        del self._waiting[:count]
        self._stored, self._closed = self._stored - count, self._closed - count
        return taken

    def put_back(self, entries: Sequence[Entry]) -> None:
        """They could not be acknowledged: with the next."""
        self._ready = [*entries, *self._ready]
