"""A position whose stop and whose exit both have no answer, at a broker that answers again. Pure.

    stop lost ─► left ─► exit lost ─► the broker's book is read, and has neither ─► a stop under a tag of its own
                                                                                      ├─ the lost stop arrives: that is
                                                                                      │  cancelled
                                                                                      ├─ the exit arrives: cancelled
                                                                                      └─ it never does: is the next exit

Nobody can say for half a minute that an exit is absent, so no other may be sent; a stop that rests sells nothing until
the market is there, and covers the position meanwhile. Where the market is beyond the position's stop, it is one a step
beyond the market. One that is refused, taken back or lost is followed by another, later each time.

Invariants (held to by the drill): no cover beside a stop that is known to rest, or whose answer may still come in time.
"""

from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.execution.deadlines import EXIT_AGAIN_SECONDS_MAX, is_exit_lost, is_unanswered
from tradebus.execution.leaving.covering import rest_of
from tradebus.execution.opening import protect_anew
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_STEP_PCT = 1  # beyond the market


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


def is_bare_meanwhile(trade: Trade, *, at_ns: int) -> bool:
    """Whether all that lives and may close the position has no answer, and a cover may be sent now."""
    last = _last_unanswered(trade)
    if last is None or not trade.at_broker or trade.there_quantity <= 0:
        return False
    if not all(_is_lost(order) for order in trade.orders if not order.ended):
        return False
    covers = [one for one in trade.orders[trade.orders.index(last) + 1 :] if one.role is OrderRole.STOP]
    if not covers:
        return True
    pause_seconds = min(1 << min(len(covers) - 1, 6), EXIT_AGAIN_SECONDS_MAX)
    return at_ns >= covers[-1].updated_ns + pause_seconds * NANOSECONDS_PER_SECOND


def cover_meanwhile(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """The broker's book has none of the trade's orders that have no answer: what is held is covered."""
    if is_bare_meanwhile(trade, at_ns=at_ns):
        protect_anew(trade, step, trigger_paise=_trigger_paise(trade), at_ns=at_ns)


def wait_no_longer(order: Order) -> None:
    """Nobody has answered the exit in time: it may be covered."""
    order.given_up = order.role is OrderRole.EXIT and not order.ended and order.broker_order_id is None


def _trigger_paise(trade: Trade) -> int:
    """The position's stop; a broker refuses one that the market has passed."""
    if trade.touch is None or trade.touch.last_paise <= 0:
        return trade.stop_paise
    last_paise, tick = trade.touch.last_paise, trade.contract.tick_size_paise
    step_paise = max(tick, last_paise * _STEP_PCT // 100)
    if trade.exit_transaction is Transaction.SELL:
        return max(tick, min(trade.stop_paise, (last_paise - step_paise) // tick * tick))
    return max(trade.stop_paise, -(-(last_paise + step_paise) // tick) * tick)


def _is_lost(order: Order) -> bool:
    """Whether nobody waits for its answer any more, and it may arrive nevertheless."""
    if order.role is OrderRole.STOP:
        return is_unanswered(order) and order.given_up
    return is_exit_lost(order)


def _last_unanswered(trade: Trade) -> Order | None:
    exits = [order for order in trade.orders if order.role is OrderRole.EXIT and not order.ended]
    return exits[-1] if exits and _is_lost(exits[-1]) else None
