"""A stop that rests becomes the exit, by one change of the same order. It protects until it is the way out.

    a stop rests ─► turned: no trigger, at the market ─► answered? asked again until it is ─► fills, or is priced anew
                       └─ refused ─► it stays, and is asked again in its time (`leaving.refusals`)

Two orders, the stop's cancellation and the exit, leave the position bare for as long as the exit's answer stays away.
A change may be asked for as often as need be: it makes no second order.

Invariants (property-tested): what is turned is never more than what is held; nothing is turned beside another exit, nor
beside a stop that may still appear; an order that ends does so once, so nothing is sold twice.
"""

from tradebus.contracts.orders import OrderRole
from tradebus.execution.deadlines import is_entry_lost, is_unanswered
from tradebus.execution.governor.ratio import may_press
from tradebus.execution.leaving.covering import rest_of
from tradebus.execution.leaving.refusals import leaving_terms
from tradebus.execution.step import Modify, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.trading.states import OrderState

_RESTS = (OrderState.TRIGGER_PENDING, OrderState.OPEN, OrderState.PARTIALLY_FILLED)


def turn_stops(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """Turns every stop of which it is known that it rests, the last one grown or cut to what is held. On paper none:
    nothing of a request is lost there."""
    others = [
        order for order in trade.orders if not (order.ended or is_entry_lost(order) or order.role is OrderRole.STOP)
    ]
    missing = any(order.given_up and is_unanswered(order) for order in trade.orders)
    if not trade.at_broker or others or missing:
        return
    stops = [order for order in trade.all_live(OrderRole.STOP) if _may_turn(order)]
    left = trade.there_quantity - sum(rest_of(one) for one in trade.all_live(OrderRole.STOP) if one not in stops)
    most = trade.order_quantity_max
    for stop in stops:
        wanted = left if stop is stops[-1] else min(left, rest_of(stop))
        if wanted <= 0:
            return
        quantity = stop.filled_quantity + wanted
        quantity = quantity if most is None else min(quantity, max(most, stop.quantity))
        left -= quantity - stop.filled_quantity
        _turn(trade, stop, step, quantity, at_ns=at_ns)


def ask_again(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """A stop that was turned is known to wait for its trigger still: its change was lost, or undone by an older one."""
    if order.is_turned and order.state is OrderState.TRIGGER_PENDING and trade.exit_reason is not None:
        if order.refusals:
            order.order_type, order.price_paise = leaving_terms(
                trade, transaction=order.transaction, at_ns=at_ns, turned=order
            )
        order.moves += 1
        step.requests.append(Modify(order.order_id, at_ns, order.quantity, previous_trigger_paise=trade.stop_paise))


def _may_turn(stop: Order) -> bool:
    """What was changed as often as may be is cancelled instead. A broker's own trigger can be nothing else."""
    return not (stop.is_turned or stop.is_standing) and stop.state in _RESTS and may_press(stop)


def _turn(trade: Trade, stop: Order, step: TradeStep, quantity: int, *, at_ns: int) -> None:
    previous, before_paise = stop.quantity, stop.trigger_paise or 0
    stop.quantity, stop.hit_ns = quantity, None
    stop.order_type, stop.price_paise = leaving_terms(trade, transaction=stop.transaction, at_ns=at_ns)
    stop.trigger_paise = None
    stop.moves += 1
    trade.pressed_ns = max(trade.pressed_ns, at_ns)
    step.requests.append(Modify(stop.order_id, at_ns, previous, previous_trigger_paise=before_paise))
