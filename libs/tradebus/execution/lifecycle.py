"""The life of a trade after its approval: answers, fills, stops, targets, timeouts, exits.

Invariants (property-tested):
- Of entries, stops and exits there live the parts of what is more than one order takes: of entries never more than was
  approved, of exits never more than is held; an exit is sent only when no entry or stop can still fill, but for those
  that were not answered in time.
- Every filled lot of an open position is covered by a stop request in the same step, unless the position is being
  exited; where the stop is not answered in time, the position is.
- The exit's quantity is what is held at that moment: nothing here can open or reverse a position.
- A trade closes only when it is flat and all its orders have ended; then profit = Σ sells − Σ buys − charges, exactly.
- Hearing the same fill or answer twice changes nothing.
- Whatever a broker reports is a fact and is taken in: orders that somebody made larger or smaller at its terminal, or
  cancelled there, and words that no table has. What is held of it is covered or being closed, and a person is told.
"""

from tradebus.contracts.orders import BrokerRequest, OrderRole, OrderType
from tradebus.execution import reports
from tradebus.execution.deadlines import again_ns, refused_last
from tradebus.execution.governor.ratio import CHANGES_MAX, may_press
from tradebus.execution.leaving.exits import continue_exit, request_exit
from tradebus.execution.leaving.refusals import CHANGE_REFUSALS_MAX, put_stop_back, tell
from tradebus.execution.leaving.taken_back import TAKEN_BACK_MAX, taken_back
from tradebus.execution.leaving.turning import ask_again
from tradebus.execution.moving import NOT_CANCELLABLE, cancel, heard, reach, take_quantity
from tradebus.execution.opening import enter_rest, protect
from tradebus.execution.step import Modify, NewFill, Notice, TradeStep
from tradebus.execution.stops.tightening import note_move, on_moved, on_not_trailed
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date
from tradebus.trading.charges import charges_paise
from tradebus.trading.orders import BrokerFill, BrokerOrder, BrokerStatus, Outcome, Result
from tradebus.trading.states import (
    OrderEvent,
    OrderState,
    TradeEvent,
)


def on_outcome(trade: Trade, order: Order, step: TradeStep, outcome: Outcome, *, at_ns: int) -> None:
    """The answer to a place request."""
    if outcome.result is Result.ACCEPTED:
        _acknowledge(
            trade, order, step, broker_order_id=outcome.broker_order_id, at_ns=at_ns, would_send=outcome.would_send
        )  # fmt: skip
        if trade.exit_reason is not None and not order.ended:  # what its end has led to waits for its time
            continue_exit(trade, step, at_ns=at_ns)
        elif order.role is OrderRole.ENTRY and trade.exit_reason is None and not order.ended:
            enter_rest(trade, step, at_ns=at_ns)
    elif order.ended:
        return  # by another word: this one adds nothing
    elif outcome.result is Result.REFUSED:
        _refused(trade, order, step, reason=outcome.reason, at_ns=at_ns)
    else:
        heard(order, step, OrderEvent.OUTCOME_LOST, at_ns)
        order.reason = outcome.reason
        reports.unknown(trade, order, step, at_ns, reason=outcome.reason)
        _trade_event(trade, order, step, _UNKNOWN)
        if order.role is OrderRole.ENTRY and trade.exit_reason is not None:
            continue_exit(trade, step, at_ns=at_ns)  # it holds nothing up any more


def on_report(trade: Trade, order: Order, step: TradeStep, report: BrokerOrder) -> None:
    """What the broker's book or order stream says of an order: fills first, then its end. Safe to hear again."""
    if order.state in (OrderState.PENDING, OrderState.UNKNOWN) and report.status is not BrokerStatus.REJECTED:
        _acknowledge(trade, order, step, broker_order_id=report.broker_order_id, at_ns=order.placed_ns)
        if trade.exit_reason is not None and not report.status.final:
            at_ns = max(order.updated_ns, report.as_of_ns)
            if report.status is BrokerStatus.TRIGGER_PENDING and not order.refusals:  # else in its time
                ask_again(trade, order, step, at_ns=at_ns)
            continue_exit(trade, step, at_ns=at_ns)
        elif order.role is OrderRole.ENTRY and not report.status.final:
            enter_rest(trade, step, at_ns=max(order.updated_ns, report.as_of_ns))
        elif order.role is OrderRole.STOP and not report.status.final and report.quantity != order.quantity:
            # It grew with the position while its own answer was outstanding.
            step.requests.append(
                Modify(
                    order.order_id, order.updated_ns, report.quantity, previous_trigger_paise=order.trigger_paise or 0
                )
            )
    if trade.at_broker:
        _note_hit(order, report)
        note_move(trade, order, step, report)
    fires = order.is_turned or order.is_standing
    if fires and order.state is OrderState.TRIGGER_PENDING and report.status is BrokerStatus.OPEN:
        heard(order, step, OrderEvent.TRIGGERED, max(order.updated_ns, report.as_of_ns))
    take_quantity(trade, order, step, report)
    for fill in report.fills:
        if fill.fill_id not in trade.fill_ids:
            _on_fill(trade, order, step, fill)
    if report.status is BrokerStatus.CANCELLED and not order.ended:
        asked = order.state is OrderState.CANCEL_PENDING
        heard(order, step, OrderEvent.CANCELLED, report.as_of_ns)
        order.reason = report.reason
        reports.cancelled(trade, order, step, report.as_of_ns, reason=report.reason or "cancelled by the exchange")
        _after_end(trade, order, step, at_ns=report.as_of_ns, asked=asked)
    elif report.status is BrokerStatus.REJECTED and not order.ended:
        _refused(trade, order, step, reason=report.reason, at_ns=report.as_of_ns)
    elif order.state is OrderState.FILLED and not report.status.final and order.quantity > order.filled_quantity:
        _revived(trade, order, step, at_ns=report.as_of_ns)
    elif report.status is BrokerStatus.FILLED and order.is_whole and not order.ended:
        _whole_after_all(trade, order, step, at_ns=report.as_of_ns)


def _whole_after_all(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """A word that came late had it larger than it was by then: every fill is known, and none follows."""
    heard(order, step, OrderEvent.FINAL_FILL, at_ns)
    if trade.exit_reason is not None:
        continue_exit(trade, step, at_ns=at_ns)


def _note_hit(order: Order, report: BrokerOrder) -> None:
    """Since when the broker calls a stop open that was to wait for its trigger; what it says later counts."""
    if order.is_turned or order.is_standing:
        return
    if order.state is not OrderState.TRIGGER_PENDING or report.status is not BrokerStatus.OPEN:
        order.hit_ns = None
    elif order.hit_ns is None:
        order.hit_ns = max(order.updated_ns, report.as_of_ns)


def on_appeared(trade: Trade, order: Order, step: TradeStep, report: BrokerOrder) -> None:
    """An order that was over with us lives at the broker: its request arrived after it was certain that none would.
    Nobody wants it any more, so it is cancelled, and what it fills until then is undone."""
    if order.state not in (OrderState.CANCELLED, OrderState.REJECTED) or report.status.final:
        return
    order.broker_order_id = report.broker_order_id
    heard(order, step, OrderEvent.APPEARED, report.as_of_ns)
    step.notices.append(
        Notice(f"order {order.tag}", ours="over", brokers=str(report.status), action="arrived very late: cancelled")
    )
    if trade.ended:
        trade.exit_reason = trade.exit_reason or "late_order"
        reach(trade, step, TradeEvent.ORDER_APPEARED)
    cancel(order, step, at_ns=report.as_of_ns)


def on_absent(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """The broker's book does not know the tag, certainly: the order never arrived, or was there and is gone."""
    if order.ended:
        return
    arrived = order.state not in NOT_CANCELLABLE
    heard(order, step, OrderEvent.CANCELLED if arrived else OrderEvent.NOT_FOUND, at_ns)
    order.reason = "no longer in the broker's book" if arrived else "never reached the broker"
    reports.cancelled(trade, order, step, at_ns, reason=order.reason)
    _after_end(trade, order, step, at_ns=at_ns, asked=False)


def on_cancel_outcome(trade: Trade, order: Order, step: TradeStep, outcome: Outcome, *, at_ns: int) -> None:
    """The answer to a cancel request. Accepted says only that it is under way; refused or lost must be looked up."""
    if order.ended or outcome.result is Result.ACCEPTED:
        return
    event = OrderEvent.CANCEL_REFUSED if outcome.result is Result.REFUSED else OrderEvent.OUTCOME_LOST
    heard(order, step, event, at_ns)
    reports.unknown(trade, order, step, at_ns, reason=outcome.reason)


def on_modify_outcome(trade: Trade, order: Order, step: TradeStep, outcome: Outcome, request: Modify) -> None:
    """The answer to a modification: of a stop that follows its position or trails, or of an exit that is priced anew. A
    stop that cannot follow means: get out. An exit that cannot be changed is replaced when it is due again."""
    if order.ended:
        return
    if request.trails and order.is_turned:
        order.is_moving, order.move_lost = False, None  # it is on its way out by another change
    elif order.role is OrderRole.EXIT or order.is_turned:
        _on_repriced(trade, order, step, outcome, request)
    elif outcome.result is Result.ACCEPTED:
        on_moved(trade, order, step, request)
    elif request.trails:
        on_not_trailed(trade, order, step, outcome, request)
    else:
        request_exit(trade, step, reason="stop_not_moved", at_ns=request.at_ns)


def _on_repriced(trade: Trade, order: Order, step: TradeStep, outcome: Outcome, request: Modify) -> None:
    """Of an exit, or of a stop that was to become one. A stop that may not stays and protects, and is asked again in
    its time; in the end it is cancelled, and an exit follows it."""
    if outcome.result is Result.ACCEPTED:
        order.refusals = 0
        heard(order, step, OrderEvent.MODIFIED, request.at_ns)
        if order.state is OrderState.TRIGGER_PENDING:
            heard(order, step, OrderEvent.TRIGGERED, request.at_ns)
    elif outcome.result is Result.REFUSED and order.is_turned:
        order.refusals += 1
        if order.refusals == _TOLD_REFUSALS and not refused_last(trade):  # else it was told with those
            order.reason = outcome.reason
            tell(trade, order, step, action="the stop stays, and is asked again to be the exit: look at it")
        tired = order.refusals >= CHANGE_REFUSALS_MAX or not may_press(order)
        if order.state is OrderState.TRIGGER_PENDING and not tired:
            return
        order.changes = CHANGES_MAX
        if order.state not in NOT_CANCELLABLE:
            cancel(order, step, at_ns=request.at_ns)
    elif outcome.result is Result.REFUSED:
        # It rests as it did, at a price that is perhaps the broker's own; another one is tried in its place.
        order.order_type, order.price_paise, order.changes = OrderType.MARKET, None, CHANGES_MAX
    else:
        heard(order, step, OrderEvent.OUTCOME_LOST, request.at_ns)
        reports.unknown(trade, order, step, request.at_ns, reason=outcome.reason)


def _acknowledge(
    trade: Trade, order: Order, step: TradeStep, *, broker_order_id: str | None, at_ns: int,
    would_send: BrokerRequest | None = None,
) -> None:  # fmt: skip
    first = order.broker_order_id is None
    order.broker_order_id = broker_order_id or order.broker_order_id
    if order.ended:
        return
    order.is_moving = False
    waits = order.role is OrderRole.STOP
    heard(order, step, OrderEvent.TRIGGER_WAITING if waits else OrderEvent.ACKNOWLEDGED, at_ns)
    if first:
        reports.placed(trade, order, step, at_ns, would_send=would_send)
    _trade_event(trade, order, step, _ACCEPTED)


def _refused(trade: Trade, order: Order, step: TradeStep, *, reason: str, at_ns: int) -> None:
    heard(order, step, OrderEvent.REJECTED, at_ns)
    order.reason = reason
    reports.rejected(trade, order, step, at_ns, reason=reason)
    _after_end(trade, order, step, at_ns=at_ns, asked=False)


def _revived(trade: Trade, order: Order, step: TradeStep, *, at_ns: int) -> None:
    """We took it for whole, and at the broker it has been made larger and may fill on. What nobody asked for of a stop
    or an exit is cancelled; more of an entry is covered as it fills."""
    heard(order, step, OrderEvent.RAISED, at_ns)
    if trade.ended:
        reach(trade, step, TradeEvent.EXIT_PARTIALLY_FILLED)
    if trade.exit_reason is not None:
        continue_exit(trade, step, at_ns=at_ns)


def on_settled(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    """A person says what became of units that no order of ours has closed. What is left is held as before."""
    _book(trade, order, step, fill)
    trade.exit_quantity += fill.quantity
    trade.exit_value_paise += fill.quantity * fill.price_paise
    trade.missing_quantity = max(0, trade.missing_quantity - fill.quantity)
    if trade.open_quantity == 0:
        trade.exit_reason = trade.exit_reason or "settled"
        reach(trade, step, TradeEvent.EXIT_PARTIALLY_FILLED)
    if trade.exit_reason is not None:
        continue_exit(trade, step, at_ns=fill.ts_event_ns)
    else:
        protect(trade, step, at_ns=fill.ts_event_ns)


def _on_fill(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    _book(trade, order, step, fill)
    if order.role is OrderRole.ENTRY:
        _on_entry_fill(trade, order, step, fill)
    else:
        _on_exit_fill(trade, order, step, fill)


def _book(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    trade.fill_ids.add(fill.fill_id)
    charges = charges_paise(
        day=ist_date(fill.ts_event_ns),
        kind=trade.kind,
        transaction=order.transaction,
        quantity=fill.quantity,
        price_paise=fill.price_paise,
        order_value_before_paise=order.filled_value_paise,
        tariff=trade.tariff,
    )
    order.filled_quantity += fill.quantity
    order.quantity = max(order.quantity, order.filled_quantity)
    order.filled_value_paise += fill.quantity * fill.price_paise
    heard(order, step, OrderEvent.FINAL_FILL if order.is_whole else OrderEvent.PARTIAL_FILL, fill.ts_event_ns)
    trade.charges_paise += charges.total_paise
    step.fills.append(NewFill(order.order_id, fill, charges.total_paise, charges))
    reports.filled(trade, order, step, fill)


def _on_entry_fill(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    first = trade.entry_quantity == 0
    trade.entry_quantity += fill.quantity
    trade.entry_value_paise += fill.quantity * fill.price_paise
    reach(trade, step, TradeEvent.ENTRY_FILLED)
    if first:
        trade.opened_ns = fill.ts_event_ns
        trade.highest_paise = trade.lowest_paise = fill.price_paise
        reports.opened(trade, step, fill.ts_event_ns)
    slippage_pct = trade.adverse_pct(fill.price_paise)
    if slippage_pct > trade.max_slippage_pct:
        reports.slipped(trade, order, step, fill, slippage_pct=slippage_pct)
        request_exit(trade, step, reason="slippage", at_ns=fill.ts_event_ns)
    if trade.exit_reason is not None:
        continue_exit(trade, step, at_ns=fill.ts_event_ns)
        return
    protect(trade, step, at_ns=fill.ts_event_ns)
    enter_rest(trade, step, at_ns=fill.ts_event_ns)


def _on_exit_fill(trade: Trade, order: Order, step: TradeStep, fill: BrokerFill) -> None:
    # An order back to flat after both exit and stop filled trades in the entry's direction: it undoes an exit.
    sign = 1 if order.transaction is trade.exit_transaction else -1
    trade.exit_quantity += sign * fill.quantity
    trade.exit_value_paise += sign * fill.quantity * fill.price_paise
    if trade.exit_reason is None:
        trade.exit_reason = _closed_by(trade, order, fill)
    if trade.open_quantity < 0:
        reach(trade, step, TradeEvent.EXIT_OVERFILLED)
    elif trade.open_quantity > 0 or not all(other.ended for other in trade.orders):
        reach(trade, step, TradeEvent.EXIT_PARTIALLY_FILLED)
    over = order.ended or trade.open_quantity <= 0 or trade.live(OrderRole.EXIT) not in (None, order)
    if over and not _fill_together(trade, order):
        continue_exit(trade, step, at_ns=fill.ts_event_ns)
        return
    for entry in trade.all_live(OrderRole.ENTRY):
        if entry.state not in NOT_CANCELLABLE:
            cancel(entry, step, at_ns=fill.ts_event_ns)  # the stop was hit: no more may be bought


def _closed_by(trade: Trade, order: Order, fill: BrokerFill) -> str:
    """Which leg of a broker's own trigger it was, the price says: a target's is a limit there."""
    if order.role is not OrderRole.STOP:
        return "exit"
    at_target = trade.target_paise is not None and trade.side.sign * (fill.price_paise - trade.target_paise) >= 0
    return "target" if order.is_standing and at_target else "stop"


def _fill_together(trade: Trade, order: Order) -> bool:
    """Of several stops those that were hit together fill together: cancelling the others would race that."""
    others = order.role is OrderRole.STOP and order.ended and trade.live(OrderRole.STOP) is not None
    return others and trade.open_quantity > 0 and trade.live(OrderRole.EXIT) is None


def _after_end(trade: Trade, order: Order, step: TradeStep, *, at_ns: int, asked: bool) -> None:
    """An order ended without filling whole: by our wish, the broker's refusal or the exchange's own will."""
    if order.role is OrderRole.ENTRY:
        if trade.entry_quantity == 0 and trade.live(OrderRole.ENTRY) is not None:
            if trade.exit_reason is not None:
                continue_exit(trade, step, at_ns=at_ns)
            return  # other parts of it may fill
        if trade.entry_quantity == 0:
            rejected = order.state is OrderState.REJECTED
            reach(trade, step, TradeEvent.ENTRY_REJECTED if rejected else TradeEvent.ENTRY_CANCELLED)
            trade.closed_ns = at_ns
            trade.exit_reason = trade.exit_reason or order.reason
            return
        reach(trade, step, TradeEvent.ENTRY_REMAINDER_CANCELLED)
    elif order.role is OrderRole.STOP:
        reach(trade, step, TradeEvent.STOP_ANSWERED)
        if not asked and trade.exit_reason is None:
            reason = "stop_refused" if order.state is OrderState.REJECTED else "stop_cancelled_by_exchange"
            request_exit(trade, step, reason=reason, at_ns=at_ns)
            return
        if trade.exit_reason is None:
            protect(trade, step, at_ns=at_ns)  # one too many was cancelled, and may be needed by now
        elif not asked and refused_last(trade) and at_ns < again_ns(trade):
            return  # nor may one be put back: the next exit has its time
    elif order.state is OrderState.REJECTED or (not asked and order.broker_order_id is not None):
        # `deadline_ns` asks again, less and less often; asking at once would hammer a broker that refuses. What the
        # exchange takes back is asked at once while there are other terms to try (`leaving.taken_back`).
        rejected = order.state is OrderState.REJECTED
        if trade.live(OrderRole.EXIT) is None:  # else the others are the exit
            reach(trade, step, TradeEvent.EXIT_REJECTED if rejected else TradeEvent.EXIT_CANCELLED)
        if rejected:
            put_stop_back(trade, step, at_ns=at_ns)
        if rejected or not trade.at_broker or taken_back(trade) >= TAKEN_BACK_MAX:
            return
    if trade.exit_reason is not None:
        continue_exit(trade, step, at_ns=at_ns)


_TOLD_REFUSALS = 2  # in a row: one passes
_ACCEPTED = {
    OrderRole.ENTRY: TradeEvent.ENTRY_ACCEPTED,
    OrderRole.STOP: TradeEvent.STOP_ANSWERED,
    OrderRole.EXIT: TradeEvent.EXIT_ACCEPTED,
}
_UNKNOWN = {
    OrderRole.ENTRY: TradeEvent.ENTRY_UNKNOWN,
    OrderRole.STOP: TradeEvent.STOP_ANSWERED,
    OrderRole.EXIT: TradeEvent.EXIT_UNKNOWN,
}


def _trade_event(trade: Trade, order: Order, step: TradeStep, events: dict[OrderRole, TradeEvent]) -> None:
    reach(trade, step, events[order.role])
