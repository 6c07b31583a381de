"""An account whose broker was not to be reached for too long is flat before anything is entered in it again.

    orders or positions unread for two minutes ─► DEGRADED ─► both read again ─► every position is left
                                                                                 ├─► flat: entries again
                                                                                 └─► not so in N looks: a person

Nothing is left while positions are unread: an exit of what somebody closed by hand opens what nobody wants. Stops stay.

That it is stands in the book (`books.standings`), for all instances: the account is degraded, not the process that was
cut off, and a restart forgets nothing. While it is degraded the difference is told like any other (RECONCILE_MISMATCH)
and no position is opened. Where it was not flat in N looks it stays so, flat or not, until a person has sent FLATTEN or
RESUME_TRADING for a session of it.
"""

from collections.abc import Callable

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.books import Books
from services.execution.trades.keeper import Keeper
from tradebus.contracts.orders import Difference
from tradebus.execution.decisions import exit_at
from tradebus.kernel.clock import Clock

BROKER_LOST = "broker_lost"
_log = structlog.get_logger()


class Degraded:
    """One per account; `market_ns` gives the event time, `clock` the machine's, `looks_max` is N."""

    def __init__(
        self, account: TradingAccount, keeper: Keeper, books: Books, *, clock: Clock, market_ns: Callable[[], int],
        looks_max: int,
    ) -> None:  # fmt: skip
        self._account, self._keeper, self._own, self._standings = account, keeper, books.own, books.standings
        self._clock, self._market_ns, self._looks_max = clock, market_ns, looks_max
        self._looks = 0

    async def lost(self) -> None:
        """The broker has not been reached for too long. Raises what the book's absence raises."""
        _log.error("account is degraded: it will be flattened when it is reached", account=self._account.name)
        await self._standings.degrade(self._account.name, at_ns=self._clock.now_ns())

    async def look(self, *, positions_read: bool) -> list[Difference]:
        """The order book is read again: asks for the exit of what is there where the positions are too, and says what
        keeps the account degraded."""
        account = self._account.name
        standing = await self._standings.read(account)
        if standing.degraded_ns is None:
            self._looks = 0
            return []
        if not positions_read:
            return [
                Difference(
                    what="degraded", ours="flat", brokers="its positions are unread",
                    action="every position is left once they are read, no position is opened until all are; their "
                    "stops stay at the broker",
                )
            ]  # fmt: skip
        trades = [one for one in self._keeper.roster.alive.values() if one.session_id in self._account.sessions]
        for trade in trades:
            if trade.exit_reason is None:
                await self._keeper.attempt(trade.pos_id, exit_at(reason=BROKER_LOST, at_ns=self._market_ns()))
        self._looks += 1
        waits = standing.waits_for_person or self._looks > self._looks_max
        if waits and not standing.waits_for_person:
            await self._standings.wait_for_person(account)
        count = await self._open_count()
        if not count and await self._standings.recovered(account):
            _log.warning("account is flat and no longer degraded", account=account)
            return []
        return [self._told(count, waits=waits)]

    async def _open_count(self) -> int:
        """Positions open or on their way, those of other instances and those that nobody has recovered yet included."""
        sessions = list(self._account.sessions)
        under_way = {order.pos_id for order in await self._own.orders([], sessions)}
        return len(under_way | {one.pos_id for one in await self._own.held(sessions)})

    def _told(self, count: int, *, waits: bool) -> Difference:
        if not waits:
            action = "every position is being left, no position is opened until all are"
        else:
            action = (
                "look at the broker's terminal; no position is opened until a person sends FLATTEN or RESUME_TRADING "
                "(`tradebus flatten USER`)"
            )
        brokers = f"{count} positions open or on their way" if count else "flat, too late"
        return Difference(what="degraded", ours="flat", brokers=brokers, action=action)
