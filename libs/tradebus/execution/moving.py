"""Orders and trades along their tables: strictly for what we do, and as facts for what a broker says, what somebody did
to an order of ours at the broker's own terminal included.

We change the quantity of stops only, and only upwards; every other change of a quantity is somebody else's.
"""

from tradebus.contracts.orders import OrderRole
from tradebus.execution.step import Cancel, Moved, Notice, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.orders import BrokerOrder
from tradebus.trading.states import (
    ORDER_TRANSITIONS,
    TRADE_TRANSITIONS,
    OrderEvent,
    OrderState,
    TradeEvent,
    TradeState,
    next_order_state,
    next_trade_state,
)

_DONE = {
    OrderRole.ENTRY: "taken over: what fills is covered by the stop",
    OrderRole.STOP: "taken over: what it closes too much is undone, what it leaves is closed",
    OrderRole.EXIT: "taken over: what it closes too much is undone, what it leaves is closed",
}


# An order whose answer is awaited is cancelled once the answer is there.
NOT_CANCELLABLE = (OrderState.PENDING, OrderState.CANCEL_PENDING, OrderState.UNKNOWN)


def move(order: Order, step: TradeStep, event: OrderEvent, at_ns: int) -> None:
    """Moves an order along its table and notes it in the history. Raises IllegalTransition."""
    before = order.state
    order.state = next_order_state(before, event)
    order.updated_ns = max(order.updated_ns, at_ns)
    step.history.append(Moved(order.order_id, before, order.state, event, at_ns))


def cancel(order: Order, step: TradeStep, *, at_ns: int) -> None:
    """Asks for the cancellation of an order."""
    move(order, step, OrderEvent.CANCEL_REQUESTED, at_ns)
    step.requests.append(Cancel(order.order_id, at_ns))


def heard(order: Order, step: TradeStep, event: OrderEvent, at_ns: int) -> None:
    """As `move`, for what a broker says: a fact, whether or not the table has a row for it. Where it has none, an order
    that lives is looked up, and one that has ended stays as it is."""
    if (order.state, event) in ORDER_TRANSITIONS:
        move(order, step, event, at_ns)
        return
    before = order.state
    order.state = before if order.ended else OrderState.UNKNOWN
    order.updated_ns = max(order.updated_ns, at_ns)
    step.history.append(Moved(order.order_id, before, order.state, event, at_ns))
    step.notices.append(
        Notice(f"order {order.tag}", ours=before, brokers=event, action="not understood: look at it at the broker")
    )


def reach(trade: Trade, step: TradeStep, event: TradeEvent) -> None:
    """Moves the trade along its table. What the table has no row for is a fact all the same: the state is then what the
    quantities say, and a person is told."""
    if (trade.state, event) in TRADE_TRANSITIONS:
        trade.state = next_trade_state(trade.state, event)
        return
    step.notices.append(
        Notice(f"trade {trade.pos_id}", ours=trade.state, brokers=event, action="not understood: look at it")
    )
    if trade.ended and trade.open_quantity != 0:
        trade.state = TradeState.EXIT_PENDING


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
