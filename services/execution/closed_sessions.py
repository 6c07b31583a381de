"""Sessions in which no entry is made any more: told to stop, or over."""

from collections.abc import Iterable, Set

from tradebus.contracts.sessions import SessionStatus
from tradebus.store.books.sessions import ENDED
from tradebus.trading.exit_reasons import STOP_TRADING
from tradebus.trading.sessions import StoredSession

_OVER = "session_over"


class ClosedSessions:
    """By command at once, by the book at every look."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._by_book: dict[str, str] = {}

    def stop(self, session_id: str) -> None:
        """A command says so."""
        self._told.add(session_id)

    def why(self, session_id: str) -> str:
        """Why no entry is made in the session, "" where one may be."""
        return STOP_TRADING if session_id in self._told else self._by_book.get(session_id, "")

    def look(self, alive: Iterable[StoredSession], *, known: Set[str]) -> None:
        """`alive` are the book's sessions that are not over; of those that were `known` before it was asked the others
        are."""
        standing = {one.session_id: one.status for one in alive}
        self._by_book = dict.fromkeys(known - standing.keys(), _OVER)
        for session_id, status in standing.items():
            self.found(session_id, status)

    def found(self, session_id: str, status: SessionStatus | None) -> None:
        """How one session stands in the book."""
        if status in ENDED:
            self._by_book[session_id] = _OVER
        elif status is SessionStatus.STOPPING:
            self._by_book[session_id] = STOP_TRADING
