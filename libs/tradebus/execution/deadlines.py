"""When a trade is due next though nobody says anything of it: entries that wait, exits that rest.

What is done then says `leaving.exits.on_deadline`.
"""

from tradebus.calendar import session_of
from tradebus.contracts.orders import OrderRole
from tradebus.execution.leaving.covering import fitting, rounds, uncovered_quantity
from tradebus.execution.leaving.taken_back import TAKEN_BACK_MAX, taken_back
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.states import OrderState

# So long what closes a position rests at a broker before it is priced anew, or replaced; on paper, where an order at
# the market has no limit and waits for nothing but a tick.
EXIT_REPRICE_SECONDS, EXIT_REPLACE_SECONDS = 2, 15
EXIT_AGAIN_SECONDS_MAX = 60
# So long the rest of an entry that has filled in part waits for its next fill (SPEC 10).
REMAINDER_SECONDS = 15
_AT_ONCE_SECONDS = 5
# So long, in seconds that pass here, a position may wait for the answer to its stop; then it is left, whatever becomes
# of the stop. It is seen to have none, and left, at looks a second apart: an exit is on its way within five seconds.
STOP_ANSWER_SECONDS = 3
_UNANSWERED = (OrderState.PENDING, OrderState.UNKNOWN)


def deadline_ns(trade: Trade) -> int | None:
    """When something is due next; None where nothing waits."""
    dues = []
    entered_ns, rests_ns = trade.entry_order().placed_ns, _rests_ns(trade)
    for order in trade.orders:
        if order.state is OrderState.TRIGGER_PENDING and closes(trade, order):
            since_ns = order.updated_ns if order.is_turned else _stopped_ns(trade)
            wait_ns = _pause_ns(trade, order.refusals) if order.refusals else rests_ns
            dues.append(max(since_ns, trade.pressed_ns) + wait_ns)
        elif order.state is OrderState.TRIGGER_PENDING and _waits_to_be_turned(trade):
            dues.append(again_ns(trade))
        if order.hit_ns is not None and order.state is OrderState.TRIGGER_PENDING:
            dues.append(order.hit_ns + rests_ns)
        if order.state not in (OrderState.OPEN, OrderState.PARTIALLY_FILLED):
            continue
        if order.role is OrderRole.ENTRY:
            dues.append(entered_ns + trade.order_timeout_seconds * NANOSECONDS_PER_SECOND)
            if trade.entry_quantity:
                dues.append(remainder_due_ns(trade))
        elif closes(trade, order):
            dues.append(max(order.updated_ns, trade.pressed_ns) + rests_ns)
    if trade.exit_reason is not None and not trade.ended:
        over = trade.open_quantity == 0 and all(order.ended for order in trade.orders)
        if over or to_send(trade):
            dues.append(again_ns(trade))  # an exit was refused: once more
    return min(dues) if dues else None


def _waits_to_be_turned(trade: Trade) -> bool:
    """Whether a stop that rests was put back while exits are refused. One that covers until an exit is answered is
    turned by that answer, in no time of its own."""
    return trade.exit_reason is not None and not is_exit_unanswered(trade) and bool(refused_last(trade))


def remainder_due_ns(trade: Trade) -> int:
    """When what is left of an entry that has filled in part is given up: so long after its last fill, or since the
    last of its parts went to the book. Its limit is the worst that may be paid: nothing better could take its place."""
    entries = [order for order in trade.orders if order.role is OrderRole.ENTRY]
    heard_ns = max(order.updated_ns for order in entries if order.filled_quantity or not order.ended)
    return heard_ns + REMAINDER_SECONDS * NANOSECONDS_PER_SECOND


def again_ns(trade: Trade) -> int:
    """When the next exit is sent after one that was refused: a second later, and twice as long each time, up to a
    minute. What is refused again and again must not use up the requests that other positions need. Those that price
    protection took back at once, each followed by one on other terms, count as one. Refused where the exchange takes no
    order, it is sent at the end of that at the latest."""
    last_ns = trade.orders[-1].updated_ns
    due_ns, reopens_ns = last_ns + _pause_ns(trade, 0), _reopens_ns(trade, last_ns)
    return min(due_ns, reopens_ns) if reopens_ns else due_ns


def _reopens_ns(trade: Trade, at_ns: int) -> int:
    """The end of the phase in which its exchange takes no order at that instant, 0 where it takes some."""
    session = session_of(trade.contract, ist_date(at_ns)) if trade.at_broker else None
    window = session.window_at(at_ns) if session is not None else None
    return window.end_ns if window is not None and not window.order_types else 0


def _pause_ns(trade: Trade, more: int) -> int:
    """After the exits that were refused last, and as many changes `more`."""
    times = rounds(trade, refused_last(trade))
    times += more - max(0, min(times, taken_back(trade), TAKEN_BACK_MAX) - 1)
    return min(1 << min(max(times - 1, 0), 6), EXIT_AGAIN_SECONDS_MAX) * NANOSECONDS_PER_SECOND


def refused_last(trade: Trade) -> list[Order]:
    """The last exits, where they were refused, the newest first, but for what lives beside them. None where the broker
    has taken one that came after them, or turned a stop that was put back."""
    exits = [order for order in trade.orders if order.role is OrderRole.EXIT]
    taken_ns = max((one.placed_ns for one in exits if not one.ended and one.state not in _UNANSWERED), default=0)
    refused = list[Order]()
    for order in reversed(trade.orders):
        if order.role is OrderRole.STOP and not _was_turned(order):
            continue
        if order.role is not OrderRole.EXIT or (order.ended and not _died_at_once(order)):
            break
        if order.ended and order.placed_ns >= taken_ns:
            refused.append(order)
    return refused


def to_send(trade: Trade) -> int:
    """What another exit may be sent for now, with its sign: of what is held and there, all that nothing living may
    close. Nothing while anything but exits lives whose answer is waited for, nor while one that follows a refusal has
    no answer: it is asked for alone, that many parts are not refused again and again."""
    kept = fitting(trade)
    for order in trade.orders:
        if order.ended or (order.given_up and is_unanswered(order)) or is_entry_lost(order):
            continue
        if order not in kept or (order.state is OrderState.PENDING and refused_last(trade)):
            return 0
    return uncovered_quantity(trade)


def _was_turned(stop: Order) -> bool:
    """Whether the broker made it the exit."""
    return stop.is_turned and not stop.refusals and stop.state is not OrderState.TRIGGER_PENDING


def _died_at_once(order: Order) -> bool:
    """Refused, or taken back by the exchange's price protection, with nothing filled."""
    lived_ns = order.updated_ns - order.placed_ns
    at_once = order.state is OrderState.REJECTED or lived_ns < _AT_ONCE_SECONDS * NANOSECONDS_PER_SECOND
    return order.ended and not order.filled_quantity and at_once


def is_unanswered(order: Order) -> bool:
    """A stop of which nobody knows whether it will ever be at the broker. One that was there once is looked up."""
    return order.role is OrderRole.STOP and order.broker_order_id is None and order.state in _UNANSWERED


def is_entry_lost(order: Order) -> bool:
    """An entry of which nobody knows whether it will ever be at the broker, and whose answer nobody waits for: what it
    fills after all is covered or closed then."""
    return order.role is OrderRole.ENTRY and _is_lost(order)


def is_exit_lost(order: Order) -> bool:
    """An exit of which nobody knows whether it will ever be at the broker, and whose answer nobody waits for."""
    return order.role is OrderRole.EXIT and _is_lost(order)


def _is_lost(order: Order) -> bool:
    waited = order.state is OrderState.UNKNOWN or (order.given_up and order.state is OrderState.PENDING)
    return order.broker_order_id is None and waited


def is_exit_unanswered(trade: Trade) -> bool:
    """Whether there is an exit of which nobody knows whether it will ever be at the broker."""
    return any(one.broker_order_id is None for one in trade.all_live(OrderRole.EXIT))


def has_fired(order: Order) -> bool:
    """A broker's own trigger of which a leg has placed its order, and nothing has filled."""
    return order.is_standing and order.state is OrderState.OPEN


def closes(trade: Trade, order: Order) -> bool:
    """An exit, or a stop that was turned into one, or hit: protection limits its price, so its rest may wait like an
    exit's. Where one of several stops has filled, all were hit."""
    if order.role is not OrderRole.STOP or order.ended:
        return order.role is OrderRole.EXIT
    if order.is_turned or has_fired(order):
        return True
    return order.state is OrderState.PARTIALLY_FILLED or bool(_stopped_ns(trade))


def _stopped_ns(trade: Trade) -> int:
    """When the last of several stops filled, 0 where none has."""
    stops = [order for order in trade.orders if order.role is OrderRole.STOP and order.filled_quantity]
    return max((order.updated_ns for order in stops), default=0)


def _rests_ns(trade: Trade) -> int:
    return (EXIT_REPRICE_SECONDS if trade.at_broker else EXIT_REPLACE_SECONDS) * NANOSECONDS_PER_SECOND
