"""`tradebus settle`: what a person says of units that the broker does not have any more.

SETTLE ─┬─ with a price ─► booked at it
        └─ without ─► the broker's own fills of others' orders that closed them, at their prices and times
"""

from collections.abc import Sequence

import structlog

from services.execution.books.ports import OwnBook
from services.execution.trades.keeper import Keeper
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.commands import Settle
from tradebus.execution.closing.settling import explaining, settle, share_of
from tradebus.execution.closing.takeover import SHARES_PER_ORDER, share_tag
from tradebus.execution.decisions import Decide
from tradebus.execution.step import Notice, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import derive_tag
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import BrokerFill, BrokerOrder

_log = structlog.get_logger()


class HandSettlement:
    """Every instance hears the command; whoever owns the trade obeys it, once."""

    def __init__(self, keeper: Keeper, supervisor: TradeSupervisor, gateway: OrderGateway, book: OwnBook) -> None:
        self._keeper, self._supervisor, self._gateway, self._book = keeper, supervisor, gateway, book

    async def obey(self, command: Settle) -> None:
        """Books what can be booked, and says what cannot. Raises ValueError for a command that names no position."""
        if not command.pos_id:
            raise ValueError(f"{command.TYPE} without a pos_id")
        trade = self._keeper.roster.alive.get(command.pos_id)
        if trade is None or not self._keeper.roster.is_owner(trade.owner) or trade.session_id != command.session_id:
            _log.warning("not a position of this instance and session", pos_id=command.pos_id, command=command.event_id)
            return
        wanted = command.quantity or trade.open_quantity
        if not 0 < wanted <= trade.open_quantity:
            await self._refuse(trade, wanted, f"{trade.open_quantity} are held")
        elif command.price_paise is not None:
            at_ns = self._supervisor.exit_ns(trade)
            tag = derive_tag("settle", command.event_id)
            fill = BrokerFill(f"settled-{command.event_id}", wanted, command.price_paise, at_ns)
            await self._keeper.change(trade.pos_id, self._booked([fill], tag=tag, reason=command.reason))
        else:
            await self._from_the_broker(trade, wanted, command)

    async def _from_the_broker(self, trade: Trade, wanted: int, command: Settle) -> None:
        lines = await self._gateway.order_book(trade.session_id)
        if lines is None:
            await self._refuse(trade, wanted, "the broker's order book cannot be read: again later, or with --price")
            return
        left = wanted
        for line in reversed(explaining(trade, lines)):
            tag, fills = await self._next_share(line, left)
            if fills:
                left -= sum(fill.quantity for fill in fills)
                await self._keeper.change(trade.pos_id, self._booked(fills, tag=tag, reason=command.reason))
            if not left:
                return
        await self._refuse(trade, left, "no order of others at the broker closed them: say a --price")

    async def _next_share(self, line: BrokerOrder, wanted: int) -> tuple[str, tuple[BrokerFill, ...]]:
        before = await self._book.orders([share_tag(line, number) for number in range(SHARES_PER_ORDER)], [])
        taken = sum(share.filled_quantity for share in before)
        return share_of(line, taken=taken, number=len(before), wanted=wanted)

    def _booked(self, fills: Sequence[BrokerFill], *, tag: str, reason: str) -> Decide:
        def decide(trade: Trade, step: TradeStep) -> None:
            today = ist_date(max(self._supervisor.exit_ns(trade), fills[-1].ts_event_ns))
            is_of_today = trade.opened_ns is None or ist_date(trade.opened_ns) == today
            settle(trade, step, fills, tag=tag, reason=reason, is_of_today=is_of_today)

        return decide

    async def _refuse(self, trade: Trade, quantity: int, why: str) -> None:
        def decide(trade: Trade, step: TradeStep) -> None:
            step.notices.append(
                Notice(
                    f"settle {trade.symbol} ({trade.pos_id})", ours=f"{trade.open_quantity} held",
                    brokers=f"{quantity} to settle", action=f"not settled: {why}",
                )
            )  # fmt: skip

        await self._keeper.change(trade.pos_id, decide)
