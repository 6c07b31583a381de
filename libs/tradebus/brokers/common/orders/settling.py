"""When a tag that the order book does not have is absent for certain.

A request that left just now may not be in the book yet, and one that ended without an answer may still be on its way.
So a tag is absent for certain only `settle_seconds` after the last moment at which an order of that tag can have left
this process or the one before it, and never while one is under way. A request that was given up is under way as long
as its thread runs: one that a name server or a connection holds back may still leave.
"""

from collections.abc import Awaitable
from concurrent.futures import Future

from tradebus.brokers.calls import watched_threads
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import Outcome, Result

SETTLE_SECONDS = 5.0


class Settling:
    """Of one login's new orders. The process before this one ended when this was made, at the latest."""

    def __init__(self, settle_seconds: float, *, timers: Timers) -> None:
        self._timers = timers
        self._settle_ns = int(settle_seconds * 1e9)
        self._since_ns = timers.monotonic_ns()
        self._under_way: dict[str, int] = {}  # by tag: how many requests
        self._left_ns: dict[str, int] = {}  # by tag: until when a request may have left
        self._running: dict[Future[object], str] = {}  # threads that go on for a tag

    async def placed(self, tag: str, placing: Awaitable[Outcome]) -> Outcome:
        """What comes of an order that is placed under the tag."""
        self._under_way[tag] = self._under_way.get(tag, 0) + 1
        refused = False
        try:
            with watched_threads() as threads:
                try:
                    outcome = await placing
                finally:
                    self._outlast(tag, threads)
            refused = outcome.result is Result.REFUSED
        finally:
            self._under_way[tag] -= 1
            if self._under_way[tag] == 0:
                del self._under_way[tag]
            if not refused:
                self._left_ns[tag] = self._timers.monotonic_ns()
        return outcome

    def under_way(self, tag: str) -> bool:
        """Whether an order of that tag is being placed right now."""
        return tag in self._under_way

    def absent(self, tag: str, *, asked_ns: int) -> bool:
        """Whether a book that was asked for at `asked_ns` (monotonic), and lacks the tag, says so for certain."""
        if tag in self._under_way or tag in tuple(self._running.values()):
            return False
        last_ns = max(self._since_ns, self._left_ns.get(tag, 0))
        return asked_ns - last_ns >= self._settle_ns

    def _outlast(self, tag: str, threads: list[Future[object]]) -> None:
        for thread in threads:
            if not thread.done():
                self._running[thread] = tag
                thread.add_done_callback(self._ended)  # at once where it has ended meanwhile

    def _ended(self, thread: Future[object]) -> None:
        """Called on the thread: first until when the request may have left, then that it is over."""
        self._left_ns[self._running[thread]] = self._timers.monotonic_ns()
        del self._running[thread]
