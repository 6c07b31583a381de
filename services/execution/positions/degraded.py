"""An account whose broker was not to be reached for too long is flat before anything is entered in it again.

    books unread for two minutes ─► DEGRADED ─► read again ─► every position is left ─┬─► flat: entries again
                                                                                      └─► not so in N looks: a person

While it is degraded the difference is told like any other (RECONCILE_MISMATCH) and no position is opened. Where it was
not flat in N looks it stays so, flat or not, until a person has sent FLATTEN or RESUME_TRADING for a session of it.
"""

from collections.abc import Callable

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.trades.keeper import Keeper
from tradebus.contracts.orders import Difference
from tradebus.execution.decisions import exit_at

BROKER_LOST = "broker_lost"
_log = structlog.get_logger()


class Degraded:
    """One per account; `market_ns` gives the event time, `looks_max` is N. The account itself keeps whether it is."""

    def __init__(
        self, account: TradingAccount, keeper: Keeper, *, market_ns: Callable[[], int], looks_max: int
    ) -> None:
        self._account, self._keeper, self._market_ns, self._looks_max = account, keeper, market_ns, looks_max
        self._looks = 0

    def lost(self) -> None:
        """The broker has not been reached for too long."""
        if not self._account.degraded:
            _log.error("account is degraded: it will be flattened when it is reached", account=self._account.name)
            self._account.degraded, self._looks = True, 0

    async def look(self) -> list[Difference]:
        """The books are read again: asks for the exit of what is there, and says what keeps the account degraded."""
        if not self._account.degraded:
            self._looks = 0
            return []
        trades = [one for one in self._keeper.roster.alive.values() if one.session_id in self._account.sessions]
        for trade in trades:
            if trade.exit_reason is None:
                await self._keeper.attempt(trade.pos_id, exit_at(reason=BROKER_LOST, at_ns=self._market_ns()))
        self._looks += 1
        trades = [one for one in self._keeper.roster.alive.values() if one.session_id in self._account.sessions]
        if not trades and self._looks <= self._looks_max:
            _log.warning("account is flat and no longer degraded", account=self._account.name)
            self._account.degraded = False
            return []
        return [self._told(len(trades))]

    def _told(self, count: int) -> Difference:
        if self._looks <= self._looks_max:
            action = "every position is being left, no position is opened until all are"
        else:
            action = (
                "look at the broker's terminal; no position is opened until a person sends FLATTEN or RESUME_TRADING "
                "(`tradebus flatten USER`)"
            )
        brokers = f"{count} positions open or on their way" if count else "flat, too late"
        return Difference(what="degraded", ours="flat", brokers=brokers, action=action)
