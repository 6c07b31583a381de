"""What is asked of a broker for an order, and what its answers mean for the trade, as changes a keeper can commit."""

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum

from tradebus.contracts.orders import OrderRole, OrderType
from tradebus.execution import lifecycle, moving, opening, reports
from tradebus.execution.leaving import exits, unanswered
from tradebus.execution.leaving.covering import rounds
from tradebus.execution.leaving.turning import ask_again
from tradebus.execution.step import Cancel, Modify, Place, Request, TradeStep
from tradebus.execution.stops import tightening
from tradebus.execution.stops.limits import stop_limit_paise
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.exit_reasons import FLATTEN, KILL_SWITCH, STOP_TRADING
from tradebus.trading.orders import BrokerOrder, OrderModification, OrderRequest, Outcome, Result
from tradebus.trading.states import OrderState

SQUARE_OFF = "square_off"

MARKET_PROTECTION_PCT = 3.0
_PROTECTION_PCT = (MARKET_PROTECTION_PCT, 5.0, 8.0, 12.0, 20.0)  # every broker takes up to 25

Decide = Callable[[Trade, TradeStep], None]


def order_request(trade: Trade, order: Order) -> OrderRequest:
    """The order as the gateway's port wants it."""
    protected = order.order_type in (OrderType.MARKET, OrderType.SL_M)
    return OrderRequest(
        account=trade.session_id,
        tag=order.tag,
        instrument=trade.instrument,
        symbol=trade.symbol,
        transaction=order.transaction,
        order_type=order.order_type,
        quantity=order.quantity,
        lot_size=trade.lot_size,
        tick_size_paise=trade.tick_size_paise,
        at_ns=order.placed_ns,
        price_paise=order.price_paise,
        trigger_paise=order.trigger_paise,
        market_protection_pct=protection_pct(trade, order) if protected else None,
        role=OrderRole.EXIT if order.is_turned else order.role,
        contract=trade.contract,
        group_id=trade.group_id if order.role is OrderRole.ENTRY else None,
        target_paise=trade.target_paise if order.is_standing else None,
        market_paise=_market_paise(trade) if order.is_standing else None,
    )


def _market_paise(trade: Trade) -> int:
    """The last price seen; before the first tick what was paid."""
    return trade.touch.last_paise if trade.touch is not None else trade.entry_price_paise


def protection_pct(trade: Trade, order: Order) -> float:
    """How far from the market an order at the market may trade: farther with each exit before it that rested in vain,
    never beyond what the exchange's price protection of an option leaves."""
    if order.role is not OrderRole.EXIT:
        return MARKET_PROTECTION_PCT
    rested = list[Order]()
    for other in reversed(trade.orders[: trade.orders.index(order)]):
        if other.role is not OrderRole.EXIT or (other.ended and other.state is not OrderState.CANCELLED):
            break
        if other.ended:  # what lives beside it is another part of the same
            rested.append(other)
    return _PROTECTION_PCT[min(rounds(trade, rested), len(_PROTECTION_PCT) - 1)]


def outdated(trade: Trade, order: Order, now_ns: int) -> bool:
    """An entry that never left is not sent after its time; stops and exits always are."""
    late_ns = trade.entry_order().placed_ns + trade.order_timeout_seconds * NANOSECONDS_PER_SECOND
    return order.role is OrderRole.ENTRY and now_ns > late_ns


def only_own(_trade: Trade, _step: TradeStep) -> None:
    """Changes nothing but the owner, as every change does."""


def go_on(trade: Trade, step: TradeStep) -> None:
    """An exit goes on where a crash stopped it, and waits for no entry that an earlier life has perhaps sent. Where all
    its orders have ended its deadline does, in its time."""
    exits.give_up_entries(trade)
    if trade.exit_reason is not None and not trade.ended and any(not order.ended for order in trade.orders):
        at_ns = max(order.updated_ns for order in trade.orders)
        exits.continue_exit(trade, step, at_ns=at_ns)
        asked = {request.order_id for request in step.requests}
        for order in trade.orders:
            if order.order_id not in asked:
                ask_again(trade, order, step, at_ns=at_ns)


def in_turn(*decides: Decide) -> Decide:
    """One after the other."""

    def decide(trade: Trade, step: TradeStep) -> None:
        for one in decides:
            one(trade, step)

    return decide


def absent(order_id: str, at_ns: int, *, seen: OrderState) -> Decide:
    """The broker does not know the order, which was `seen` so when it was looked up: what it said since is newer."""

    def decide(trade: Trade, step: TradeStep) -> None:
        order = trade.order(order_id)
        if order.state is seen:
            lifecycle.on_absent(trade, order, step, at_ns=at_ns)

    return decide


def placed(order_id: str, outcome: Outcome, at_ns: int) -> Decide:
    """The answer to a placement."""
    return lambda trade, step: lifecycle.on_outcome(trade, trade.order(order_id), step, outcome, at_ns=at_ns)


def cancelled(order_id: str, outcome: Outcome, at_ns: int) -> Decide:
    """The answer to a cancellation."""
    return lambda trade, step: lifecycle.on_cancel_outcome(trade, trade.order(order_id), step, outcome, at_ns=at_ns)


def modified(request: Modify, outcome: Outcome) -> Decide:
    """The answer to a modification."""

    def decide(trade: Trade, step: TradeStep) -> None:
        order = trade.order(request.order_id)
        if outcome.result is Result.REFUSED and not order.ended:
            order.reason = outcome.reason
        lifecycle.on_modify_outcome(trade, order, step, outcome, request)

    return decide


def realign(order_id: str, at_ns: int, *, quantity: int, trigger_paise: int | None) -> Decide:
    """A stop rests at the broker with another quantity or trigger: it is told again what it is to be. Where the broker
    has refused to make it the exit, that is asked again in its time."""

    def decide(trade: Trade, step: TradeStep) -> None:
        order = trade.order(order_id)
        wanted = not order.refusals if order.is_turned else trade.exit_reason is None and not order.is_moving
        if order.state in (OrderState.OPEN, OrderState.TRIGGER_PENDING) and wanted:
            order.moves += 1
            step.requests.append(Modify(order_id, at_ns, quantity, trigger_paise or 0))

    return decide


def trail(*, market_paise: int, at_ns: int) -> Decide:
    """The market has run: the stops follow it."""
    return lambda trade, step: tightening.trail_stop(trade, step, market_paise=market_paise, at_ns=at_ns)


def trail_again(order_id: str, at_ns: int, *, rests_at_paise: int) -> Decide:
    """A move of a stop was decided on in an earlier life, and nobody has answered."""

    def decide(trade: Trade, step: TradeStep) -> None:
        order = trade.order(order_id)
        tightening.trail_further(trade, order, step, rests_at_paise=rests_at_paise, at_ns=at_ns)

    return decide


def cover(at_ns: int) -> Decide:
    """Neither the stop nor the exit has an answer, and the broker's book has neither."""
    return lambda trade, step: unanswered.cover_meanwhile(trade, step, at_ns=at_ns)


def cancel_again(order_id: str, at_ns: int) -> Decide:
    """A cancellation was accepted, and the order rests at the broker as before."""

    def decide(trade: Trade, step: TradeStep) -> None:
        order = trade.order(order_id)
        if order.state is OrderState.CANCEL_PENDING:
            moving.cancel(order, step, at_ns=at_ns)

    return decide


def reported(order: BrokerOrder, *, unknown: Exception) -> Decide:
    """What the broker says of an order. Raises `unknown` where this copy of the trade does not have it yet."""

    def decide(trade: Trade, step: TradeStep) -> None:
        ours = next((own for own in trade.orders if own.tag == order.tag), None)
        if ours is None:
            raise unknown
        if ours.broker_order_id not in (None, order.broker_order_id):
            return  # a second order with that tag: not this one's, and reconciliation's to dispute
        lifecycle.on_report(trade, ours, step, order)

    return decide


def appeared(order_id: str, report: BrokerOrder) -> Decide:
    """The order lives at the broker, and was over with us."""
    return lambda trade, step: lifecycle.on_appeared(trade, trade.order(order_id), step, report)


def give_up_stop(order_id: str, at_ns: int) -> Decide:
    """Nobody has answered the stop in time."""
    return lambda trade, step: exits.give_up_stop(trade, trade.order(order_id), step, at_ns=at_ns)


def give_up_exit(order_id: str) -> Decide:
    """Nobody has answered the exit in time."""
    return lambda trade, step: unanswered.wait_no_longer(trade.order(order_id))


def exit_at(*, reason: str, at_ns: int) -> Decide:
    """A change that asks for the exit."""
    return lambda trade, step: exits.request_exit(trade, step, reason=reason, at_ns=at_ns)


def missing(quantity: int, at_ns: int) -> Decide:
    """So many units of what is held are not at the broker: they are neither covered nor closed from now on."""

    def decide(trade: Trade, step: TradeStep) -> None:
        if trade.ended or trade.missing_quantity == quantity:
            return
        trade.missing_quantity = quantity
        if trade.exit_reason is not None:
            exits.continue_exit(trade, step, at_ns=at_ns)
        elif trade.open_quantity > 0:
            opening.protect(trade, step, at_ns=at_ns)

    return decide


def square_off(*, hard_end_ns: int, at_ns: int) -> Decide:
    """Asks for the exit where nobody has, and says so to people."""

    def decide(trade: Trade, step: TradeStep) -> None:
        if trade.ended or trade.exit_reason is not None:
            return
        reports.square_off_forced(trade, step, at_ns, hard_end_ns=hard_end_ns)
        exits.request_exit(trade, step, reason=SQUARE_OFF, at_ns=at_ns)

    return decide


def unprotected(*, seconds: int, at_ns: int) -> Decide:
    """Says to people that a position has been without a stop for so long."""

    def decide(trade: Trade, step: TradeStep) -> None:
        if trade.there_quantity:
            reports.position_unprotected(trade, step, at_ns, seconds=seconds)

    return decide


def deadline(now_ns: int, *, missed: bool = False) -> Decide:
    """Time has passed."""
    return lambda trade, step: exits.on_deadline(trade, step, now_ns=now_ns, missed=missed)


def is_due(trade: Trade, request: Request) -> bool:
    """Whether a request is still to be sent. What was answered meanwhile, sent again, might be a second order; what is
    not known is looked up first."""
    order = trade.order(request.order_id)
    if isinstance(request, Place):
        return order.state is OrderState.PENDING
    if isinstance(request, Modify) and request.trails and trade.exit_reason is not None:
        return False  # the stop is taken back: what leaves must not wait for it to trail
    return order.broker_order_id is not None and not order.ended and order.state is not OrderState.UNKNOWN


def change_of(trade: Trade, order: Order, request: Modify) -> OrderModification:
    """The modification as the gateway's port wants it. A stop's limit belongs to its trigger: where that has moved, the
    limit of before might be on its wrong side, or outside the exchange's price protection."""
    price_paise = order.price_paise
    limited = order.order_type is OrderType.SL or order.is_standing
    if order.role is OrderRole.STOP and limited and order.trigger_paise is not None:
        price_paise = stop_limit_paise(
            trade.contract, transaction=order.transaction, trigger_paise=order.trigger_paise,
            day=ist_date(request.at_ns), is_standing=order.is_standing,
        )  # fmt: skip
    asked = replace(order_request(trade, order), price_paise=price_paise, at_ns=request.at_ns)
    order_type = order.order_type if order.role is OrderRole.EXIT or order.is_turned else None
    return OrderModification(
        order.quantity, price_paise, order.trigger_paise, request.at_ns, asked, order_type,
        market_protection_pct=asked.market_protection_pct,
    )  # fmt: skip


def answered(order: Order, request: Request, outcome: Outcome) -> Decide:
    """What the answer to a request means."""
    if isinstance(request, Place):
        return placed(order.order_id, outcome, order.placed_ns)
    if isinstance(request, Cancel):
        return cancelled(order.order_id, outcome, request.at_ns)
    return modified(request, outcome)


def is_new_exit(trade: Trade, request: Request) -> bool:
    """Whether it sends an order that closes the position."""
    return isinstance(request, Place) and trade.order(request.order_id).role is OrderRole.EXIT


def not_sent(request: Request, reason: str) -> Decide:
    """We do not send a request, for this reason: as where the broker had refused it."""
    outcome = Outcome(Result.REFUSED, reason=f"not sent: {reason}")

    def decide(trade: Trade, step: TradeStep) -> None:
        if is_due(trade, request):
            answered(trade.order(request.order_id), request, outcome)(trade, step)

    return decide


class Priority(IntEnum):
    """The lower goes first."""

    KILL = 0
    FLATTEN = 1
    OUT = 2  # exits, stops, cancellations
    IN = 3


_OF_REASON = {KILL_SWITCH: Priority.KILL, FLATTEN: Priority.FLATTEN, STOP_TRADING: Priority.FLATTEN}


def priority_of(trade: Trade, request: Request) -> Priority:
    """How urgent a request is as its trade stands now."""
    if trade.exit_reason is not None:
        return _OF_REASON.get(trade.exit_reason, Priority.OUT)
    is_entry = isinstance(request, Place) and trade.order(request.order_id).role is OrderRole.ENTRY
    return Priority.IN if is_entry else Priority.OUT
