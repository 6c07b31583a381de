"""The last look at a session that is to stop: STOPPED is said once the broker's own book has nothing alive of it.

no trade alive in our book ─► the broker's book is read ─┬─ no living order of the session ─► said in our book
                                                         └─ one lives: it came late, is cancelled; looked at again
"""

from collections.abc import Callable, Collection, Sequence

from services.execution.books.ports import OwnBook
from tradebus.execution.reconciliation import OwnOrder
from tradebus.execution.roster import Roster
from tradebus.trading.orders import BrokerOrder


class LastLook:
    """Of one account, whose `sessions` are those that have not ended. `why_closed`: why one is to stop,
    "" where it is not."""

    def __init__(
        self, sessions: Collection[str], book: OwnBook, roster: Roster, *, why_closed: Callable[[str], str]
    ) -> None:
        self._sessions, self._book, self._roster, self._why_closed = sessions, book, roster, why_closed
        self._seen: set[str] = set()

    @property
    def is_due(self) -> bool:
        """Whether a session waits for it, for all that this instance knows."""
        waiting = self._waiting()
        return bool(waiting) and waiting != {trade.session_id for trade in self._roster.alive.values()} & waiting

    async def finished(self) -> list[str]:
        """The sessions that it may be the last look at. To be asked before the broker's book is read."""
        waiting = self._waiting()
        return await self._book.finished(sorted(waiting)) if waiting else []

    async def tell(self, finished: Sequence[str], ours: Sequence[OwnOrder], book: Sequence[BrokerOrder]) -> None:
        """Says of which of those the broker's book, read since, has nothing alive."""
        sessions = {own.tag: own.session_id for own in ours}
        alive = {sessions.get(line.tag) for line in book if not line.status.final}
        for session_id in finished:
            if session_id not in alive:
                await self._book.seen_clear(session_id)
                self._seen.add(session_id)

    def _waiting(self) -> set[str]:
        self._seen &= set(self._sessions)
        return {one for one in self._sessions if one not in self._seen and self._why_closed(one)}
