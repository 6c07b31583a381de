"""A position whose stop and whose exit both have no answer, at a broker that answers again. Pure.

    stop lost ─► left ─► exit lost ─► the broker's book is read, and has neither ─► a stop under a tag of its own
                                                                                      ├─ the lost stop arrives: that is
                                                                                      │  cancelled
                                                                                      ├─ the exit arrives: cancelled
                                                                                      └─ it never does: is the next exit

Nobody can say for half a minute that an exit is absent, so no other may be sent; a stop that rests sells nothing until
the market is there, and covers the position meanwhile.

Invariants (held to by the drill): one such cover for each exit that has no answer; none beside a stop that is known to
rest, or whose answer may still come in time.
"""

from tradebus.contracts.orders import OrderRole
from tradebus.execution.deadlines import is_unanswered
from tradebus.execution.leaving.covering import rest_of
from tradebus.execution.opening import protect_anew
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.states import OrderState


def covers_meanwhile(trade: Trade) -> list[Order]:
    """The living stops that were sent after the last exit that has no answer; none where they are more than is held."""
    last = _last_unanswered(trade)
    if last is None:
        return []
    after = trade.orders[trade.orders.index(last) + 1 :]
    stops = [order for order in after if order.role is OrderRole.STOP and not order.ended and not order.is_turned]
    return stops if sum(rest_of(stop) for stop in stops) <= trade.there_quantity else []


def surplus_stops(trade: Trade) -> list[Order]:
    """Stops at the broker beyond what is held, the older of them: one that arrived late beside its cover."""
    held, surplus = trade.there_quantity, list[Order]()
    for order in reversed(trade.orders):
        if order.role is not OrderRole.STOP or order.ended or is_unanswered(order):
            continue
        if rest_of(order) > held:
            surplus.append(order)
        else:
            held -= rest_of(order)
    return surplus


def is_bare_meanwhile(trade: Trade) -> bool:
    """Whether all that lives and may close the position has no answer, and no cover was sent since."""
    last = _last_unanswered(trade)
    if last is None or not trade.at_broker or trade.there_quantity <= 0:
        return False
    if any(order.role is OrderRole.STOP for order in trade.orders[trade.orders.index(last) + 1 :]):
        return False
    return all(_is_lost(order) for order in trade.orders if not order.ended)


def cover_meanwhile(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """The broker's book has none of the trade's orders that have no answer: what is held is covered."""
    if is_bare_meanwhile(trade):
        protect_anew(trade, step, at_ns=at_ns)


def _is_lost(order: Order) -> bool:
    """Whether nobody waits for its answer any more, and it may arrive nevertheless."""
    if order.role is OrderRole.STOP:
        return is_unanswered(order) and order.given_up
    return order.role is OrderRole.EXIT and order.state is OrderState.UNKNOWN and order.broker_order_id is None


def _last_unanswered(trade: Trade) -> Order | None:
    exits = [order for order in trade.orders if order.role is OrderRole.EXIT and not order.ended]
    return exits[-1] if exits and _is_lost(exits[-1]) else None
