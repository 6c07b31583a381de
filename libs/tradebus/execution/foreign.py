"""What somebody did to an order of ours at the broker's own terminal, as its report shows it. Pure.

We change the quantity of stops only, and only upwards; every other change of a quantity is somebody else's.
"""

from tradebus.contracts.orders import OrderRole
from tradebus.execution.step import Notice, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.orders import BrokerOrder

_DONE = {
    OrderRole.ENTRY: "taken over: what fills is covered by the stop",
    OrderRole.STOP: "taken over: what it closes too much is undone, what it leaves is closed",
    OrderRole.EXIT: "taken over: what it closes too much is undone, what it leaves is closed",
}


def take_quantity(trade: Trade, order: Order, step: TradeStep, report: BrokerOrder) -> None:
    """Takes the order's quantity from the broker where it is the one that counts, and says so to a person.

    A report that has fewer fills than we know of is older than what we know. A stop that rests is told what it is to
    be (reconciliation); one that fills, fills as the broker has it.
    """
    if report.quantity <= 0 or report.quantity == order.quantity or report.filled_quantity < order.filled_quantity:
        return
    told = sum(fill.quantity for fill in report.fills)
    raised = report.quantity > order.quantity
    if order.role is OrderRole.STOP and not report.status.final and not (raised and told):
        return
    if order.ended and not raised:
        return
    before, order.quantity = order.quantity, max(report.quantity, order.filled_quantity)
    if order.role is OrderRole.STOP and not raised:
        return  # it ended before our modification reached it
    step.notices.append(
        Notice(
            f"order {order.tag} ({order.role} of {trade.symbol})",
            ours=str(before),
            brokers=str(report.quantity),
            action=f"{'raised' if raised else 'lowered'} at the broker, {_DONE[order.role]}",
        )
    )
