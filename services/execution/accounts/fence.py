"""Keeps execution from sending anything for an account that is closed out past it, until it has taken that over.

`tradebus kill` ─► journal of the login (locked while it runs) ─► nothing is sent ─► its exits are in the trades ─► on
"""

from collections.abc import Sequence
from pathlib import Path

from tradebus.brokers.closing_journal import ClosingJournal, SentExit
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.timers import Timers
from tradebus.waiting.beside import BesideLook

_LOOK_SECONDS = 1.0
_FRESH_SECONDS = 0.02  # a request takes about as long from here to its broker; who closes out looks for a second
# Exits are of one day: what is older was taken over then, or is in no book any more.
_OLD_NS = 20 * 3_600 * 1_000_000_000


class ClosingFence:
    """Of one login, as of the last `look`; shut until the journal was read once: nobody knows what it holds.
    `timers` tell the machine's time, as the journal has it."""

    def __init__(self, state_dir: Path, *, broker: str, login: str, timers: Timers) -> None:
        self._journal, self._timers = ClosingJournal(state_dir, broker=broker, login=login), timers
        self._taken_over: set[str] = set()
        self._size = -1
        self._sent: Sequence[SentExit] = ()
        unread: tuple[bool, Sequence[SentExit]] | None = None
        self._journal_looks = BesideLook(
            self._journal_now, first=unread, what=f"closing journal of {broker}:{login}", seconds=_LOOK_SECONDS,
            timers=timers, fresh_seconds=_FRESH_SECONDS,
        )  # fmt: skip

    async def look(self) -> None:
        """Sees what the journal says now; where the disk does not answer what it said stands."""
        await self._journal_looks.look()

    def problem(self) -> str:
        """Why nothing is sent now, "" where all may be."""
        if self._journal_looks.stands is None:
            return "whether `tradebus kill` closed the account out is not read from the disk yet"
        if self.is_closing:
            return "`tradebus kill` is closing the account out"
        return "exits of `tradebus kill` are not taken over yet" if self.pending() else ""

    def pending(self) -> list[SentExit]:
        """The exits that were sent past execution and are not in its trades yet."""
        return [one for one in self._of_today() if one.tag not in self._taken_over]

    def tags(self) -> set[str]:
        """Those of all exits that were sent past execution."""
        return {one.tag for one in self._of_today()}

    @property
    def is_closing(self) -> bool:
        """Whether somebody closes the account out right now, as far as it is known."""
        stands = self._journal_looks.stands
        return stands is not None and stands[0]

    def took_over(self, tag: str) -> None:
        """The exit is in the trades it closed, or certainly at no broker."""
        self._taken_over.add(tag)

    def _journal_now(self) -> tuple[bool, Sequence[SentExit]]:
        """Whether the journal is taken, and its exits. Blocks."""
        is_taken, size = self._journal.is_taken, self._journal.size
        if size != self._size:
            try:
                self._sent = self._journal.read()
            except InvalidInput:
                return is_taken or self._size < 0, self._sent  # never read: nobody knows what it holds
            self._size = size
        return is_taken, self._sent

    def _of_today(self) -> list[SentExit]:
        now_ns, stands = self._timers.now_ns(), self._journal_looks.stands
        return [one for one in (stands[1] if stands is not None else ()) if now_ns - one.at_ns < _OLD_NS]
