"""Orders and trades along their tables: strictly for what we do, and as facts for what a broker says."""

from tradebus.execution.step import Moved, Notice, TradeStep
from tradebus.execution.trade import Order, Trade
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


def move(order: Order, step: TradeStep, event: OrderEvent, at_ns: int) -> None:
    """Moves an order along its table and notes it in the history. Raises IllegalTransition."""
    before = order.state
    order.state = next_order_state(before, event)
    order.updated_ns = max(order.updated_ns, at_ns)
    step.history.append(Moved(order.order_id, before, order.state, event, at_ns))


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
