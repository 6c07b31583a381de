"""The way out of a position: what is cancelled first, what is sold, at what price, and when it is tried anew.

    asked for ─► entry ends ─► stop is turned, or ends ─► exit ─► rests? priced anew, farther each time ─► flat ─► over
                                                           └─► refused? again, less and less often

Invariants (property-tested): an exit is never larger than what is held; its limit only ever moves towards the market
and never outside the exchange's price protection.
"""

from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.execution import reports
from tradebus.execution.deadlines import (
    REMAINDER_SECONDS,
    again_ns,
    closes,
    deadline_ns,
    has_fired,
    is_entry_lost,
    is_exit_unanswered,
    is_unanswered,
    refused_last,
    remainder_due_ns,
    to_send,
)
from tradebus.execution.governor.ratio import may_press
from tradebus.execution.leaving.covering import fitting
from tradebus.execution.leaving.pricing import farther_limit_paise, is_farther
from tradebus.execution.leaving.refusals import leaving_terms, waits_refused
from tradebus.execution.leaving.taken_back import edge_paise_now
from tradebus.execution.leaving.turning import ask_again, turn_stops
from tradebus.execution.leaving.unanswered import surplus_stops
from tradebus.execution.moving import NOT_CANCELLABLE, cancel, reach
from tradebus.execution.opening import new_order
from tradebus.execution.step import Modify, Place, TradeStep
from tradebus.execution.trade import Order, Trade, settle
from tradebus.kernel.money import slices
from tradebus.kernel.time import ist_date
from tradebus.trading.states import OrderState, TradeEvent


def request_exit(trade: Trade, step: TradeStep, *, reason: str, at_ns: int) -> None:
    """Somebody wants out. The first reason stays; asking again is harmless."""
    if trade.ended or trade.exit_reason is not None:
        return
    trade.exit_reason = reason
    reach(trade, step, TradeEvent.EXIT_REQUESTED)
    continue_exit(trade, step, at_ns=at_ns)


def give_up_stop(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """Nobody has answered the stop in time: the position is left without it. Asked again, it goes on where the exit was
    refused."""
    if not is_unanswered(order) or trade.open_quantity == 0:
        return
    order.given_up = True
    give_up_entries(trade)
    if (trade.orders[-1].role is OrderRole.EXIT or refused_last(trade)) and at_ns < again_ns(trade):
        return
    if trade.exit_reason is None:
        request_exit(trade, step, reason="stop_unanswered", at_ns=at_ns)
    else:
        continue_exit(trade, step, at_ns=at_ns)


def give_up_entries(trade: Trade) -> None:
    """Entries that nobody answers hold up no exit any more."""
    for entry in trade.all_live(OrderRole.ENTRY):
        entry.given_up = True


def continue_exit(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """The next thing on the way out: cancel the entry, then make the stop the exit, or cancel it and sell what is held,
    then close.

    Until the entry has ended nothing can be sold, and its end may be long in coming: so long the stop stays. What
    nobody has answered in time holds nothing up. Of an entry, what it fills after all is sold then; a stop that appears
    protects until the exit that went without it is answered, and is cancelled then, or becomes the exit where that
    never arrived. What it may have sold beside it is undone.
    """
    waiting = missing = False
    entering = any(not is_entry_lost(entry) for entry in trade.all_live(OrderRole.ENTRY))
    filling = trade.open_quantity > 0 and (entering or is_exit_unanswered(trade))
    put_back = waits_refused(trade) if at_ns < again_ns(trade) else []
    if not filling and not put_back:
        turn_stops(trade, step, at_ns=at_ns)
    kept, too_many = [*fitting(trade), *put_back], surplus_stops(trade)
    for order in trade.orders:
        if order.ended:
            continue
        if order.given_up and is_unanswered(order):
            missing = True
            continue
        waiting = True
        stays = order in kept or (filling and order.role is OrderRole.STOP and order not in too_many)
        if order.state not in NOT_CANCELLABLE and not stays:
            cancel(order, step, at_ns=at_ns)
    left = to_send(trade)
    if left:
        refused = refused_last(trade)
        if not (waiting and refused and at_ns < again_ns(trade)):  # `deadline_ns` asks for it again
            _send_exits(trade, step, left, at_ns=at_ns, alone=bool(refused))
    elif waiting:
        return
    elif trade.open_quantity != 0:
        return  # the broker does not have it: a person says what became of it
    elif missing:
        return  # flat, and not over while something may still come
    elif trade.entry_quantity == 0:
        _end_without_position(trade, step, at_ns=at_ns)
    else:
        _close(trade, step, at_ns=at_ns)


def on_deadline(trade: Trade, step: TradeStep, *, now_ns: int, missed: bool = False) -> None:
    """Entries that wait too long are timed out and cancelled; what closes and does not fill is priced anew or replaced.

    It happens when it is due; where that was `missed`, now: an order of then would be overdue at once.
    """
    due = deadline_ns(trade)
    if due is None or due > now_ns:
        return
    due = now_ns if missed else due
    if to_send(trade) and again_ns(trade) <= now_ns:
        continue_exit(trade, step, at_ns=due)
        return
    if trade.exit_reason is None and any(has_fired(order) for order in trade.orders):
        # One leg has placed its order, and the other is gone: nothing protects while that rests.
        request_exit(trade, step, reason="gtt_not_filled", at_ns=due)
        return
    entries = [one for one in trade.all_live(OrderRole.ENTRY) if one.state not in NOT_CANCELLABLE]
    leaving = [order for order in trade.orders if not order.ended and closes(trade, order)]
    hit = next((order for order in trade.orders if order.hit_ns is not None and not order.ended), None)
    if leaving:
        if trade.at_broker:
            trade.pressed_ns = now_ns  # and not `due`: whose clock is behind would be asked again at once
        if any(order.role is OrderRole.STOP and not order.is_turned for order in leaving):
            _press_stops(trade, step, at_ns=due)
        for order in leaving:
            if order.role is OrderRole.EXIT or order.is_turned:
                _press(trade, order, step, at_ns=due)
    elif hit is not None:
        _leave_hit(trade, hit, step, at_ns=due)
    elif entries:
        is_rest = trade.entry_quantity > 0 and remainder_due_ns(trade) <= due
        seconds = REMAINDER_SECONDS if is_rest else trade.order_timeout_seconds
        for entry in entries:
            reports.timed_out(trade, entry, step, due, timeout_seconds=seconds)
            cancel(entry, step, at_ns=due)
    else:
        continue_exit(trade, step, at_ns=due)


def _press_stops(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """Stops that were hit have rested: they become exits, or are cancelled for one."""
    turn_stops(trade, step, at_ns=at_ns)
    if is_exit_unanswered(trade):
        return
    for stop in trade.all_live(OrderRole.STOP):
        if stop.state not in NOT_CANCELLABLE and not stop.is_turned:
            cancel(stop, step, at_ns=at_ns)


def _press(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """What closes the position has rested: nearer to whoever takes it. A change costs one request and leaves no moment
    without an order; where the market is not known, or the order was changed as often as may be, another follows it."""
    if order.state in NOT_CANCELLABLE:
        return
    if order.state is OrderState.TRIGGER_PENDING and may_press(order):
        order.changes += 1  # a stop that was to be turned, and waits as before
        ask_again(trade, order, step, at_ns=at_ns)
        return
    if not trade.at_broker or trade.touch is None or not may_press(order):
        cancel(order, step, at_ns=at_ns)
        return
    reference_paise = trade.touch.facing_paise(order.transaction)
    limit_paise = farther_limit_paise(
        trade.contract, transaction=order.transaction, reference_paise=reference_paise, attempt=order.changes + 1,
        day=ist_date(at_ns),
    )  # fmt: skip
    edge_paise = edge_paise_now(trade, transaction=order.transaction, at_ns=at_ns, moves=order.changes + 1)
    if edge_paise is not None:
        sells = order.transaction is Transaction.SELL
        limit_paise = max(limit_paise, edge_paise) if sells else min(limit_paise, edge_paise)
    if not is_farther(limit_paise, than_paise=order.price_paise, transaction=order.transaction):
        return  # nobody has come: the same again would cost a request and change nothing
    order.order_type, order.price_paise = OrderType.LIMIT, limit_paise
    order.changes, order.moves = order.changes + 1, order.moves + 1
    step.requests.append(Modify(order.order_id, at_ns, order.quantity, previous_trigger_paise=0))


def _leave_hit(trade: Trade, stop: Order, step: TradeStep, *, at_ns: int) -> None:
    """The broker calls a stop open. After a change some do so while it waits; where the market is beyond its trigger
    it was triggered, and its limit is not met any more."""
    stop.hit_ns = None
    if trade.touch is None or stop.trigger_paise is None or trade.exit_reason is not None:
        return  # reconciliation sees whether it stays so
    last_paise = trade.touch.last_paise
    sells = stop.transaction is Transaction.SELL
    if last_paise <= stop.trigger_paise if sells else last_paise >= stop.trigger_paise:
        request_exit(trade, step, reason="stop_not_filled", at_ns=at_ns)


def _send_exits(trade: Trade, step: TradeStep, left: int, *, at_ns: int, alone: bool) -> None:
    """As many exits as what is left takes, together; the first of them where it goes alone: the others follow when the
    broker has taken it."""
    transaction = trade.exit_transaction if left > 0 else trade.entry_transaction
    order_type, price_paise = OrderType.MARKET, None
    if trade.at_broker:
        order_type, price_paise = leaving_terms(trade, transaction=transaction, at_ns=at_ns)
    parts = slices(abs(left), lot_size=trade.lot_size, freeze_quantity=trade.contract.freeze_quantity)
    reach(trade, step, TradeEvent.EXIT_REQUESTED)
    for quantity in parts[:1] if alone else parts:
        order = new_order(
            trade, step, role=OrderRole.EXIT, transaction=transaction, order_type=order_type,
            price_paise=price_paise, quantity=quantity, at_ns=at_ns,
        )  # fmt: skip
        step.requests.append(Place(order.order_id))


def _close(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    if trade.ended:
        return
    before_paise = trade.net_pnl_paise
    reach(trade, step, TradeEvent.EXIT_FILLED)
    trade.closed_ns = at_ns
    gross_pnl_paise = settle(trade)
    if before_paise != trade.net_pnl_paise:  # closed again, and nothing came of it: told already
        reports.closed(trade, step, at_ns, gross_pnl_paise=gross_pnl_paise, again=before_paise is not None)


def _end_without_position(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    if not trade.ended:
        reach(trade, step, TradeEvent.ENTRY_CANCELLED)
        trade.closed_ns = at_ns
