"""When a tag that the order book does not have is absent for certain.

A request that left just now may not be in the book yet, and one that ended without an answer may still be on its way.
So a tag is absent for certain only `settle_seconds` after the last moment at which an order of that tag can have left
this process or the one before it, and never while one is under way.
"""

from collections.abc import Awaitable

from tradebus.brokers.ports import Outcome, Result
from tradebus.kernel.clock import monotonic_ns

SETTLE_SECONDS = 5.0


class Settling:
    """Of one login's new orders. The process before this one ended when this was made, at the latest."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_ns = int(settle_seconds * 1e9)
        self._since_ns = monotonic_ns()
        self._under_way: dict[str, int] = {}  # by tag: how many requests
        self._left_ns: dict[str, int] = {}  # by tag: until when a request may have left

    async def placed(self, tag: str, placing: Awaitable[Outcome]) -> Outcome:
        """What comes of an order that is placed under the tag."""
        self._under_way[tag] = self._under_way.get(tag, 0) + 1
        refused = False
        try:
            outcome = await placing
            refused = outcome.result is Result.REFUSED
        finally:
            self._under_way[tag] -= 1
            if self._under_way[tag] == 0:
                del self._under_way[tag]
            if not refused:
                self._left_ns[tag] = monotonic_ns()
        return outcome

    def under_way(self, tag: str) -> bool:
        """Whether an order of that tag is being placed right now."""
        return tag in self._under_way

    def absent(self, tag: str, *, asked_ns: int) -> bool:
        """Whether a book that was asked for at `asked_ns` (monotonic), and lacks the tag, says so for certain."""
        last_ns = max(self._since_ns, self._left_ns.get(tag, 0))
        return tag not in self._under_way and asked_ns - last_ns >= self._settle_ns
