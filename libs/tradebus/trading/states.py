"""Both lifecycles in one place: trades (`trade_states`) and orders (`order_states`)."""

from tradebus.trading.order_states import (
    ORDER_REVIVALS,
    ORDER_TRANSITIONS,
    TERMINAL_ORDER_STATES,
    OrderEvent,
    OrderState,
    legal_order_events,
    next_order_state,
)
from tradebus.trading.trade_states import (
    TERMINAL_TRADE_STATES,
    TRADE_REVIVALS,
    TRADE_TRANSITIONS,
    TradeEvent,
    TradeState,
    legal_trade_events,
    next_trade_state,
)

__all__ = [
    "ORDER_REVIVALS",
    "ORDER_TRANSITIONS",
    "TERMINAL_ORDER_STATES",
    "TERMINAL_TRADE_STATES",
    "TRADE_REVIVALS",
    "TRADE_TRANSITIONS",
    "OrderEvent",
    "OrderState",
    "TradeEvent",
    "TradeState",
    "explain",
    "legal_order_events",
    "legal_trade_events",
    "next_order_state",
    "next_trade_state",
]


def explain(state: TradeState | OrderState) -> dict[str, str]:
    """The events that are legal in `state`, each with the state it leads to, in table order. For the documents."""
    return legal_trade_events(state) if isinstance(state, TradeState) else legal_order_events(state)
