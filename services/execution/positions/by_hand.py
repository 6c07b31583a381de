"""What the broker does not have of our positions: somebody closed it by hand, or it was squared off.

    our net, the broker's net ─► uncovered ─► all trades of the account ─► those of this instance
                                 stops made smaller, no exit larger than what is there ─► there again: covered again

What explains itself (orders of others that add up to the difference) counts at once; anything else where two looks
found it. The trades of other instances have their part of it: each unit is reckoned once.
"""

from collections.abc import Callable, Collection, Mapping

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.ports import OwnBook
from services.execution.trades.keeper import Keeper
from tradebus.execution.decisions import missing
from tradebus.execution.reconciliation import allot, in_book, uncovered
from tradebus.execution.trade import Trade

_log = structlog.get_logger()


class ClosedByHand:
    """Of one account. `market_ns` gives the event time."""

    def __init__(self, account: TradingAccount, keeper: Keeper, book: OwnBook, *, market_ns: Callable[[], int]) -> None:
        self._account, self._keeper, self._book, self._market_ns = account, keeper, book, market_ns

    async def reckon(
        self, *, ours: Mapping[int, int], brokers: Mapping[int, int], others: Mapping[int, int],
        unknown: Collection[int], lasting: Collection[int], tags: Collection[str],
    ) -> None:  # fmt: skip
        """Net quantities per instrument, in units; of the `unknown` ones what was reckoned before stands; `lasting` are
        the instruments that were so at the last look too, `tags` those of the broker's book: of trades that are not in
        it (another day's, another login's) nothing rests there, and nothing is sent for them anyway."""
        found = {
            instrument: quantity
            for instrument, quantity in uncovered(ours=ours, brokers=brokers).items()
            if instrument in lasting or brokers.get(instrument, 0) == ours[instrument] + others.get(instrument, 0)
        }
        mine = [one for one in self._keeper.roster.alive.values() if one.session_id in self._account.sessions]
        if not found and not any(trade.missing_quantity for trade in mine):
            return
        held = {one.pos_id: one for one in await self._book.held(list(self._account.sessions))}
        shares: dict[str, int] = {}
        for instrument in {one.instrument for one in held.values()}.difference(unknown):
            there = [one for one in held.values() if one.instrument == instrument]
            shares |= allot(found.get(instrument, 0), there, tags=tags)

        def growth(trade: Trade) -> int:
            return shares[trade.pos_id] - trade.missing_quantity

        known = [one for one in mine if one.pos_id in shares and in_book(held[one.pos_id], tags)]
        # What is missing of more now is uncovered first: nothing is ever covered twice.
        for trade in sorted((one for one in known if growth(one)), key=growth, reverse=True):
            _log.error(
                "not at the broker", pos_id=trade.pos_id, symbol=trade.symbol, held=trade.open_quantity,
                missing=shares[trade.pos_id],
            )  # fmt: skip
            await self._keeper.attempt(trade.pos_id, missing(shares[trade.pos_id], self._market_ns()))
