"""What of a position the living exits cover, and what of it another one may still be sent for. Pure.

Invariants (property-tested): exits that live together are never more than what is held; of what was refused nothing is
sent again beside others before its time.
"""

from tradebus.contracts.orders import OrderRole
from tradebus.execution.trade import Order, Trade


def fitting(trade: Trade) -> list[Order]:
    """Of what lives and closes the position, exits and stops that were turned, as many as may all fill whole."""
    kept, held = list[Order](), trade.there_quantity
    for order in trade.orders:
        if order.ended or not (order.role is OrderRole.EXIT or order.is_turned):
            continue
        there = held if order.transaction is trade.exit_transaction else -held
        if rest_of(order) <= there:
            kept.append(order)
            held -= _signed_rest(trade, order)
    return kept


def uncovered_quantity(trade: Trade) -> int:
    """What of the held units no living exit closes, with their sign."""
    return trade.there_quantity - sum(_signed_rest(trade, order) for order in fitting(trade))


def rounds(trade: Trade, orders: list[Order]) -> int:
    """How often the whole of what is held was tried by these orders: it may take several at once."""
    whole = max([abs(trade.there_quantity), *(order.quantity for order in orders)])
    return -(-sum(order.quantity for order in orders) // max(1, whole))


def rest_of(order: Order) -> int:
    """The units that it may still fill."""
    return order.quantity - order.filled_quantity


def _signed_rest(trade: Trade, order: Order) -> int:
    return rest_of(order) if order.transaction is trade.exit_transaction else -rest_of(order)
