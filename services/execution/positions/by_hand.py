"""What the broker does not have of our positions: somebody closed it by hand, or it was squared off.

    our net, the broker's net ─► uncovered ─► its trades: stops made smaller, no exit larger than what is there
                                                └─► there again: covered again

What explains itself (orders of others that add up to the difference) counts at once; anything else where two looks
found it.
"""

from collections.abc import Callable, Collection, Mapping

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.trades.keeper import Keeper
from tradebus.execution.decisions import missing
from tradebus.execution.reconciliation import allot, in_book, uncovered

_log = structlog.get_logger()


class ClosedByHand:
    """Of one account. `market_ns` gives the event time."""

    def __init__(self, account: TradingAccount, keeper: Keeper, *, market_ns: Callable[[], int]) -> None:
        self._account, self._keeper, self._market_ns = account, keeper, market_ns

    async def reckon(
        self, *, ours: Mapping[int, int], brokers: Mapping[int, int], others: Mapping[int, int],
        lasting: Collection[int], tags: Collection[str],
    ) -> None:  # fmt: skip
        """Net quantities per instrument, in units; `lasting` are the instruments that were so at the last look too,
        `tags` those of the broker's book: of trades that are not in it (another day's, another login's) nothing rests
        there, and nothing is sent for them anyway."""
        found = {
            instrument: quantity
            for instrument, quantity in uncovered(ours=ours, brokers=brokers).items()
            if instrument in lasting or brokers.get(instrument, 0) == ours[instrument] + others.get(instrument, 0)
        }
        roster = self._keeper.roster
        for instrument in {one.instrument for one in list(roster.alive.values())}:
            trades = [one for one in roster.of_instrument(instrument) if one.session_id in self._account.sessions]
            shares = allot(found.get(instrument, 0), trades, tags=tags)
            # What is missing of more now is uncovered first: nothing is ever covered twice.
            for trade in sorted(trades, key=lambda one: one.missing_quantity - shares[one.pos_id]):
                if trade.missing_quantity != shares[trade.pos_id] and in_book(trade, tags):
                    _log.error(
                        "not at the broker", pos_id=trade.pos_id, symbol=trade.symbol, held=trade.open_quantity,
                        missing=shares[trade.pos_id],
                    )  # fmt: skip
                    await self._keeper.attempt(trade.pos_id, missing(shares[trade.pos_id], self._market_ns()))
