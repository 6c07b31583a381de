"""A person at the broker's own terminal: cancels a stop of ours, makes it larger, or sells a position of ours and
settles it some seconds later (`tradebus settle`).

    sold by hand ─► told of (RECONCILE_MISMATCH) ─► settled, as often as it takes ─► ended in our book
                                                    └─ ours was sold as well: bought back by hand
"""

import asyncio

from services.cli.drill.running.lives import DrillWorld
from services.cli.drill.running.parts import PlayedParts
from services.cli.drill.running.plan import PlannedEvent
from services.cli.drill.running.truth import settled_units
from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import FINAL, ChangedOrder, NewOrder, Refusal, SandboxOrder, SandboxStatus
from tradebus.contracts.commands import Settle
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.streams import COMMANDS
from tradebus.execution.trade import Trade
from tradebus.kernel.ids import derive_id
from tradebus.trading.orders import Product
from tradebus.waiting.timers import sleep

_SEES_SECONDS = 6.0  # a look of reconciliation, and what it says is read
_PROTECTION_PCT = 5.0


class TerminalHands:
    """Does nothing where no stop rests. `manual` are the ids of orders of his own, `settling` what he has begun to
    settle."""

    def __init__(self, world: DrillWorld, exchange: SandboxExchange, parts: PlayedParts) -> None:
        self._world, self._exchange, self._parts = world, exchange, parts
        self.manual: set[str] = set()
        self.settling: list[asyncio.Task[None]] = []
        self._sold: set[str] = set()  # positions

    async def cancel_stop(self, event: PlannedEvent) -> None:
        stop = self._resting_stop(event.number)
        if stop is not None:
            self._world.story.tell(f"somebody cancels order {stop.order_id} at the broker's terminal")
            self._exchange.cancel(stop.account, stop.order_id)

    async def raise_stop(self, event: PlannedEvent) -> None:
        stop = self._resting_stop(event.number)
        if stop is None:
            return
        self._world.story.tell(f"somebody doubles order {stop.order_id} at the broker's terminal")
        try:
            self._exchange.modify(stop.account, stop.order_id, ChangedOrder(quantity=2 * stop.request.quantity))
        except Refusal as refusal:
            self._world.story.tell(f"the exchange refuses it: {refusal.text}")

    async def sell(self, event: PlannedEvent) -> None:
        """All of a position behind whose stop it stands."""
        stop = self._resting_stop(event.number)
        trade = next((one for one in self._trades() if stop is not None and _has(one, stop.request.tag)), None)
        if stop is None or trade is None or trade.open_quantity <= 0 or trade.exit_reason is not None:
            return
        if trade.pos_id in self._sold:
            return
        self._sold.add(trade.pos_id)
        self._world.story.tell(f"somebody sells position {trade.pos_id} at the broker's terminal")
        order = self._place(stop, trade.exit_transaction, trade.open_quantity)
        if order is not None:
            self.settling.append(asyncio.create_task(self._settle(order, trade.pos_id)))

    async def _settle(self, order: SandboxOrder, pos_id: str) -> None:
        """Until our book has it; what was sold twice is bought back, as often as it takes."""
        bought: list[SandboxOrder] = []
        while True:
            await sleep(self._world.loop.world.timers, _SEES_SECONDS)
            sale = self._exchange.order(order.account, order.order_id)
            trade = next(one for one in self._trades() if one.pos_id == pos_id)
            if sale.status is SandboxStatus.OPEN:
                continue
            left = sale.filled_quantity - settled_units(trade) - sum(self._filled(one) for one in bought)
            if left <= 0:
                return
            if trade.ended:
                if not bought or self._exchange.order(bought[-1].account, bought[-1].order_id).status in FINAL:
                    self._world.story.tell(f"somebody buys {left} back at the broker's terminal")
                    back = self._place(sale, trade.entry_transaction, left)
                    bought += [back] if back is not None else []
                continue
            now_ns = self._world.loop.machine.now_ns()
            command = Settle(
                event_id=derive_id(now_ns, "settle", pos_id), ts_event_ns=now_ns, ts_recorded_ns=now_ns,
                source="gateway", trace_id="settle", session_id=trade.session_id, user_id=trade.user_id, pos_id=pos_id,
                reason="sold by hand", quantity=min(left, trade.open_quantity) or None,
            )  # fmt: skip
            self._world.story.tell(f"somebody settles {left} of position {pos_id}")
            await self._parts.say(COMMANDS.name, command)

    def _place(self, like: SandboxOrder, transaction: Transaction, quantity: int) -> SandboxOrder | None:
        asked = NewOrder(
            like.request.instrument, transaction, OrderType.MARKET, Product.INTRADAY, quantity,
            market_protection_pct=_PROTECTION_PCT, source=like.request.source,
        )  # fmt: skip
        try:
            order = self._exchange.place(like.account, asked)
        except Refusal as refusal:
            self._world.story.tell(f"the exchange refuses it: {refusal.text}")
            return None
        self.manual.add(order.order_id)
        return order

    def _filled(self, order: SandboxOrder) -> int:
        return self._exchange.order(order.account, order.order_id).filled_quantity

    def _trades(self) -> list[Trade]:
        return list(self._world.database.table("trades").values())

    def _resting_stop(self, number: int) -> SandboxOrder | None:
        accounts = [network.account for network in self._world.networks.values()]
        orders = [order for account in accounts for order in self._exchange.orders(account)]
        found = [order for order in orders if order.status is SandboxStatus.TRIGGER_PENDING]
        return found[number % len(found)] if found else None


def _has(trade: Trade, tag: str) -> bool:
    return any(own.tag == tag for own in trade.orders)
