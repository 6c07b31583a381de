"""When a tag that the order book does not have is absent for certain.

    answered            ─► not in the book yet                   5 s after the answer
    no answer           ─► a broker may act on it all the same   20 s after we gave it up, which is after it left
    placed elsewhere    ─► an earlier life, another instance     30 s after it was first asked for here

Never while a request is under way: one that was given up is, as long as its thread runs, because what a name server or
a connection holds back may still leave. And a broker that was slow to answer may be slow to act: a request that left
before its process was killed has made an order twenty seconds later. Who asks for a tag that this process has not
placed asks for what another has, at the latest just now.

A network error is no evidence of absence, and neither is a book that was read too early. What arrives later still is
reconciliation's to find.
"""

from collections.abc import Awaitable
from concurrent.futures import Future

from tradebus.brokers.calls import watched_threads
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import Outcome, Result

SETTLE_SECONDS = 5.0
_UNANSWERED, _ELSEWHERE = 4, 6  # times as long


class Settling:
    """Of one login's new orders. `settle_seconds`: how long one that was answered may take to show in the book."""

    def __init__(self, settle_seconds: float, *, timers: Timers) -> None:
        self._timers = timers
        self._settle_ns = int(settle_seconds * 1e9)
        self._under_way: dict[str, int] = {}  # by tag: how many requests
        self._certain_ns: dict[str, int] = {}  # by tag: when a book that lacks it says so for certain
        self._running: dict[Future[object], str] = {}  # threads that go on for a tag

    async def placed(self, tag: str, placing: Awaitable[Outcome]) -> Outcome:
        """What comes of an order that is placed under the tag."""
        self._under_way[tag] = self._under_way.get(tag, 0) + 1
        times = _UNANSWERED
        try:
            with watched_threads() as threads:
                try:
                    outcome = await placing
                finally:
                    self._outlast(tag, threads)
            times = {Result.REFUSED: 0, Result.ACCEPTED: 1, Result.UNKNOWN: _UNANSWERED}[outcome.result]
        finally:
            self._under_way[tag] -= 1
            if self._under_way[tag] == 0:
                del self._under_way[tag]
            self._settles(tag, times)
        return outcome

    def under_way(self, tag: str) -> bool:
        """Whether an order of that tag is being placed right now."""
        return tag in self._under_way

    def absent(self, tag: str, *, asked_ns: int) -> bool:
        """Whether a book that was asked for at `asked_ns` (monotonic), and lacks the tag, says so for certain."""
        if tag in self._under_way or tag in tuple(self._running.values()):
            return False
        if tag not in self._certain_ns:
            self._certain_ns[tag] = asked_ns + _ELSEWHERE * self._settle_ns
        return asked_ns >= self._certain_ns[tag]

    def _settles(self, tag: str, times: int) -> None:
        """It may have left until now. A refusal does not speak for the request before it."""
        certain_ns = self._timers.monotonic_ns() + times * self._settle_ns
        self._certain_ns[tag] = max(certain_ns, self._certain_ns.get(tag, 0))

    def _outlast(self, tag: str, threads: list[Future[object]]) -> None:
        for thread in threads:
            if not thread.done():
                self._running[thread] = tag
                thread.add_done_callback(self._ended)  # at once where it has ended meanwhile

    def _ended(self, thread: Future[object]) -> None:
        """Called on the thread: first until when the request may have left, then that it is over."""
        self._settles(self._running[thread], _UNANSWERED)
        del self._running[thread]
