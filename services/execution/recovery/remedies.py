"""What is done about an order whose two views differ, where something can be."""

from collections.abc import Callable, Sequence

from services.execution.recovery.recurrence import PATIENCE, Recurrence
from services.execution.trades.keeper import Keeper
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.orders import Difference
from tradebus.execution import decisions
from tradebus.execution.closing.takeover import take_twin
from tradebus.execution.decisions import Decide
from tradebus.execution.leaving.unanswered import is_bare_meanwhile
from tradebus.execution.reconciliation import OwnOrder, ReconcileFinding, difference, filled_twins, living_twins
from tradebus.trading.orders import BrokerOrder

_HIT_PATIENCE = 3  # ten seconds and more; right after a change a stop may be called open while it waits
_PATIENCE = {
    ReconcileFinding.CANCEL: PATIENCE,
    ReconcileFinding.REALIGN: PATIENCE,
    ReconcileFinding.LATE: PATIENCE,
    ReconcileFinding.HIT: _HIT_PATIENCE,
}


class Remedies:
    """One per account. What may be under way is given time: `recurrence` counts how often it was found."""

    def __init__(
        self, keeper: Keeper, gateway: OrderGateway, recurrence: Recurrence, *, market_ns: Callable[[], int]
    ) -> None:
        self._keeper, self._gateway, self._recurrence, self._market_ns = keeper, gateway, recurrence, market_ns
        self.undone: set[str] = set()  # second orders, by what a difference calls them

    async def apply(self, finding: ReconcileFinding, ours: OwnOrder, theirs: BrokerOrder) -> Difference | None:
        """Says what was done; None where nothing was."""
        if finding is ReconcileFinding.HIT:
            await self._keeper.report(theirs)  # left when the market says so too; if not, when it has stayed so
        if finding is ReconcileFinding.HEAR:
            await self._keeper.report(theirs)
            return difference(ours, theirs, action="taken over")
        if finding not in _PATIENCE or self._recurrence.count(f"{finding} {ours.tag}") < _PATIENCE[finding]:
            return None
        decide, action = self._remedy(finding, ours, theirs)
        await self._keeper.attempt(ours.pos_id, decide)
        return difference(ours, theirs, action=action)

    async def cover_bare(self, own: Sequence[OwnOrder], book: Sequence[BrokerOrder]) -> None:
        """Covers positions of which neither the stop nor the exit has an answer, and the book has neither."""
        there = {line.tag for line in book}
        for pos_id in sorted({ours.pos_id for ours in own if ours.broker_order_id is None and ours.tag not in there}):
            trade = self._keeper.roster.alive.get(pos_id)
            if trade is None or not self._keeper.roster.is_owner(trade.owner):
                continue
            if any(order.tag in there and not order.ended for order in trade.orders):
                continue  # what lives there is heard of first
            at_ns = max(self._market_ns(), max(order.updated_ns for order in trade.orders))
            if is_bare_meanwhile(trade, at_ns=at_ns):
                await self._keeper.attempt(pos_id, decisions.cover(at_ns))

    async def cancel_twins(self, own: Sequence[OwnOrder], book: Sequence[BrokerOrder]) -> list[Difference]:
        """Cancels living orders that bear a tag of ours and are not the one we know; undoes what such have filled."""
        cancelled = []
        for ours, theirs in living_twins(own, book):
            what = f"order {theirs.broker_order_id}"
            if self._recurrence.count(f"twin {what}") >= PATIENCE:
                await self._gateway.cancel(ours.session_id, theirs.broker_order_id, at_ns=self._market_ns())
                brokers = f"{theirs.status} {theirs.filled_quantity}/{theirs.quantity}"
                tag = f"its tag {ours.tag} is order {ours.broker_order_id}"
                cancelled.append(Difference(what=what, ours=tag, brokers=brokers, action="a second order: cancelled"))
        for ours, theirs in filled_twins(own, book):
            what = f"order {theirs.broker_order_id}"
            if not self._keeper.roster.is_owner(ours.owner) or what in self.undone:
                continue
            if self._recurrence.count(f"twin {what}") >= PATIENCE:
                await self._keeper.attempt(ours.pos_id, _undo(theirs, order_id=ours.order_id))
                self.undone.add(what)
        return cancelled

    def _remedy(self, finding: ReconcileFinding, ours: OwnOrder, theirs: BrokerOrder) -> tuple[Decide, str]:
        at_ns = self._market_ns()
        if finding is ReconcileFinding.CANCEL:
            return decisions.cancel_again(ours.order_id, at_ns), "sent again"
        if finding is ReconcileFinding.LATE:
            return decisions.appeared(ours.order_id, theirs), "arrived very late: cancelled"
        if finding is ReconcileFinding.HIT:
            return decisions.exit_at(reason="stop_not_filled", at_ns=at_ns), "cancelled, to be sold at the market"
        realigned = decisions.realign(
            ours.order_id, at_ns, quantity=theirs.quantity, trigger_paise=theirs.trigger_paise
        )
        return realigned, "sent again"


def _undo(twin: BrokerOrder, *, order_id: str) -> Decide:
    return lambda trade, step: take_twin(trade, step, twin, order_id=order_id)
