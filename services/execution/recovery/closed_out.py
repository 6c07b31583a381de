"""Exits that `tradebus kill` sent while execution did not answer become exits of the trades they closed.

Nothing is sent for the account before (`accounts.fence`): the ledger holds what the broker does not, and every exit
would open a position.
"""

from collections.abc import Sequence

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.ports import OwnBook
from services.execution.trades.keeper import Keeper
from tradebus.contracts.orders import Difference, Transaction
from tradebus.execution.closing.takeover import SHARES_PER_ORDER, share_tag, take_share, takes_from
from tradebus.execution.decisions import Decide
from tradebus.execution.reconciliation import OwnOrder
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.trading.orders import BrokerOrder

_log = structlog.get_logger()


class ClosedOut:
    """Of one account."""

    def __init__(self, account: TradingAccount, book: OwnBook, keeper: Keeper) -> None:
        self._account, self._book, self._keeper = account, book, keeper

    async def take_over(self, lines: Sequence[BrokerOrder], ours: Sequence[OwnOrder]) -> list[Difference]:
        """Books what the broker's lines say of these exits; what was booked. `ours` are the orders of our book beside
        the lines."""
        fence, told = self._account.fence, []
        if fence.is_closing:
            return []
        for sent in fence.pending():
            found = [line for line in lines if line.tag == sent.tag]
            settled = [await self._hand_on(line, ours) for line in found]
            told += [note for notes, _ in settled for note in notes]
            if (found and all(done for _, done in settled)) or (not found and await self._never_arrived(sent.tag)):
                fence.took_over(sent.tag)
        return told

    async def _hand_on(self, line: BrokerOrder, ours: Sequence[OwnOrder]) -> tuple[list[Difference], bool]:
        """Gives the line's fills to the trades they closed. True where nothing of it is to be given any more."""
        shares = await self._book.orders([share_tag(line, number) for number in range(SHARES_PER_ORDER)], [])
        start, number, told = sum(share.filled_quantity for share in shares), len(shares), []
        for trade in self._keeper.roster.of_instrument(line.instrument):
            quantity = min(trade.open_quantity, sum(fill.quantity for fill in line.fills) - start)
            if trade.session_id not in self._account.sessions or quantity <= 0 or not takes_from(trade, line):
                continue
            await self._keeper.change(trade.pos_id, _share(line, number=number, start=start, quantity=quantity))
            _log.warning("closed past execution", pos_id=trade.pos_id, broker_order_id=line.broker_order_id)
            told.append(
                Difference(
                    what=f"position {trade.symbol} ({trade.pos_id})", ours=f"{quantity} held",
                    brokers=f"closed by order {line.broker_order_id} of `tradebus kill`", action="taken over",
                )
            )  # fmt: skip
            start, number = start + quantity, number + 1
        if not line.status.final:
            return told, False
        return told, start >= line.filled_quantity or await self._nothing_held(line, ours)

    async def _nothing_held(self, line: BrokerOrder, ours: Sequence[OwnOrder]) -> bool:
        """Whether no trade of ours holds, or may turn out to hold, what the line has closed."""
        if any(order.instrument == line.instrument and not order.ended for order in ours):
            return False
        net = (await self._book.net(list(self._account.sessions))).get(line.instrument, 0)
        return net <= 0 if line.transaction is Transaction.SELL else net >= 0

    async def _never_arrived(self, tag: str) -> bool:
        found = await self._account.gateway.find_by_tag(next(iter(self._account.sessions)), tag)
        return found.order is None and found.definitive


def _share(line: BrokerOrder, *, number: int, start: int, quantity: int) -> Decide:
    def decide(trade: Trade, step: TradeStep) -> None:
        take_share(trade, step, line, number=number, start=start, quantity=quantity)

    return decide
