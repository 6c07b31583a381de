"""Since when an account's order book cannot be read. It stands in the book: a restart begins no new count.

unread ─► since, seen ─► the next life within the time allowed ─► counts on
                      └─ later ─► counts anew: nobody knows what was in between
"""

from services.execution.books.standings import AccountStandings
from tradebus.kernel.clock import Clock
from tradebus.kernel.timers import Timers


class AccountReach:
    """Of one account. `clock` tells the machine's time, which lives have in common; within one the timers count."""

    def __init__(
        self, account: str, standings: AccountStandings, *, lost_seconds: float, clock: Clock, timers: Timers
    ) -> None:
        self._account, self._standings, self._clock, self._timers = account, standings, clock, timers
        self._lost_ns = int(lost_seconds * 1e9)
        self._read_ns = timers.monotonic_ns()
        self._kept: bool | None = None  # that it is unread; None: nobody knows yet what an earlier life has said

    async def read(self) -> None:
        """The order book was read. Raises what the book's absence raises."""
        self._read_ns = self._timers.monotonic_ns()
        if self._kept is not False:
            await self._standings.reached(self._account)
            self._kept = False

    async def unread(self) -> bool:
        """It could not be read. Whether so for too long. Raises what the book's absence raises."""
        now_ns = self._clock.now_ns()
        if self._kept is None:
            before = await self._standings.read(self._account)
            since_ns, seen_ns = before.unread_since_ns, before.unread_seen_ns
            # A clock that was set back counts for nothing, and so does a time that nobody looked.
            if since_ns is not None and seen_ns is not None and 0 <= now_ns - seen_ns <= self._lost_ns:
                self._read_ns = min(self._read_ns, self._timers.monotonic_ns() - (now_ns - since_ns))
        unread_ns = self._timers.monotonic_ns() - self._read_ns
        await self._standings.unread(self._account, since_ns=now_ns - unread_ns, seen_ns=now_ns)
        self._kept = True
        return unread_ns >= self._lost_ns
