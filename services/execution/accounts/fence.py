"""Keeps execution from sending anything for an account that is closed out past it, until it has taken that over.

`tradebus kill` ─► journal of the login (locked while it runs) ─► nothing is sent ─► its exits are in the trades ─► on
"""

from collections.abc import Sequence
from pathlib import Path

from tradebus.brokers.closing_journal import ClosingJournal, SentExit
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers

# Exits are of one day: what is older was taken over then, or is in no book any more.
_OLD_NS = 20 * 3_600 * 1_000_000_000


class ClosingFence:
    """Of one login. `timers` tell the machine's time, as the journal has it."""

    def __init__(self, state_dir: Path, *, broker: str, login: str, timers: Timers) -> None:
        self._journal, self._timers = ClosingJournal(state_dir, broker=broker, login=login), timers
        self._taken_over: set[str] = set()
        self._size = -1
        self._sent: Sequence[SentExit] = ()

    def problem(self) -> str:
        """Why nothing is sent now, "" where all may be."""
        if self._journal.is_taken:
            return "`tradebus kill` is closing the account out"
        return "exits of `tradebus kill` are not taken over yet" if self.pending() else ""

    def pending(self) -> list[SentExit]:
        """The exits that were sent past execution and are not in its trades yet."""
        return [one for one in self._read() if one.tag not in self._taken_over]

    def tags(self) -> set[str]:
        """Those of all exits that were sent past execution."""
        return {one.tag for one in self._read()}

    @property
    def is_closing(self) -> bool:
        """Whether somebody closes the account out right now."""
        return self._journal.is_taken

    def took_over(self, tag: str) -> None:
        """The exit is in the trades it closed, or certainly at no broker."""
        self._taken_over.add(tag)

    def _read(self) -> Sequence[SentExit]:
        size = self._journal.size
        if size != self._size:
            try:
                self._sent = self._journal.read()
            except InvalidInput:
                return self._sent
            self._size = size
        now_ns = self._timers.now_ns()
        return [one for one in self._sent if now_ns - one.at_ns < _OLD_NS]
