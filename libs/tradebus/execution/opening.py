"""From an approval to a trade with its entry order, and from its fills to its stop.

The entry is a LIMIT at the guard price: the signal's price moved against us by the slippage limit, so a fill beyond
the limit cannot happen at an exchange that keeps its rules (SPEC 10, slippage guard).
"""

from dataclasses import replace

from tradebus.calendar import Contract
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.contracts.sessions import ProtectionKind
from tradebus.execution import reports
from tradebus.execution.moving import NOT_CANCELLABLE, cancel, move
from tradebus.execution.step import Modify, Moved, Place, TradeStep
from tradebus.execution.stops.limits import stop_limit_paise
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.ids import derive_id, derive_tag
from tradebus.kernel.money import round_to_tick, slices
from tradebus.kernel.time import ist_date
from tradebus.trading.facts import EntryApproved
from tradebus.trading.states import (
    OrderEvent,
    OrderState,
    TradeEvent,
    TradeState,
    next_trade_state,
)


def open_trade(
    approval: EntryApproved, step: TradeStep, *, contract: Contract, owner: str, at_ns: int | None = None
) -> Trade:
    """The trade, its entry order, and the request to place it. Pure: the same approval gives the same ids.

    `at_ns` is when it takes effect, the approval's own instant where it is not given.
    """
    at_ns = approval.ts_event_ns if at_ns is None else at_ns
    trade = _trade(approval, contract=contract, owner=owner, at_ns=at_ns)
    trade.state = next_trade_state(trade.state, TradeEvent.APPROVED)
    _enter(trade, step, _parts(trade)[0], at_ns=at_ns)
    return trade


def enter_rest(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """The entry's other orders, together: the broker has taken the first. What is more than the exchange takes in one
    comes in several. Nothing where all have been sent."""
    sent = sum(1 for order in trade.orders if order.role is OrderRole.ENTRY)
    for quantity in _parts(trade)[sent:]:
        _enter(trade, step, quantity, at_ns=at_ns)


def _parts(trade: Trade) -> list[int]:
    return slices(trade.quantity_requested, lot_size=trade.lot_size, freeze_quantity=trade.contract.freeze_quantity)


def _enter(trade: Trade, step: TradeStep, quantity: int, *, at_ns: int) -> None:
    order = new_order(
        trade,
        step,
        role=OrderRole.ENTRY,
        transaction=trade.entry_transaction,
        order_type=OrderType.LIMIT,
        quantity=quantity,
        at_ns=at_ns,
        price_paise=guard_price_paise(trade),
    )
    step.requests.append(Place(order.order_id))


def refuse_trade(approval: EntryApproved, step: TradeStep, *, contract: Contract, owner: str, reason: str) -> Trade:
    """Our own refusal of an approval (stale, kill switch): recorded as a cancelled trade whose order never left."""
    trade = open_trade(approval, step, contract=contract, owner=owner)
    step.requests.clear()
    order = trade.entry_order()
    move(order, step, OrderEvent.NOT_FOUND, approval.ts_event_ns)
    order.reason = reason
    trade.state = next_trade_state(trade.state, TradeEvent.BLOCKED)
    trade.exit_reason = reason
    trade.closed_ns = approval.ts_event_ns
    reports.cancelled(trade, order, step, approval.ts_event_ns, reason=reason)
    return trade


def guard_price_paise(trade: Trade) -> int:
    """The worst price an entry may have, on the tick, never beyond the limit."""
    tick = trade.tick_size_paise
    # Hundredths of a basis point keep the percentage exact to four decimals.
    limit = round(trade.max_slippage_pct * 10_000)
    expected = trade.expected_price_paise
    if trade.entry_transaction is Transaction.BUY:
        return max(tick, expected * (1_000_000 + limit) // (1_000_000 * tick) * tick)
    return max(tick, -(-expected * (1_000_000 - limit) // (1_000_000 * tick)) * tick)


def new_order(
    trade: Trade,
    step: TradeStep,
    *,
    role: OrderRole,
    transaction: Transaction,
    order_type: OrderType,
    quantity: int,
    at_ns: int,
    price_paise: int | None = None,
    trigger_paise: int | None = None,
) -> Order:
    """Adds an order to the trade. Its id and tag derive from the position, role and number: made twice, it is one."""
    sequence = 1 + sum(1 for order in trade.orders if order.role is role)
    order = Order(
        order_id=derive_id(at_ns, "order", trade.pos_id, role, sequence),
        tag=derive_tag(trade.pos_id, role, sequence),
        role=role,
        sequence=sequence,
        transaction=transaction,
        order_type=order_type,
        quantity=quantity,
        price_paise=price_paise,
        trigger_paise=trigger_paise,
        state=OrderState.PENDING,
        placed_ns=at_ns,
        updated_ns=at_ns,
    )
    trade.orders.append(order)
    step.history.append(Moved(order.order_id, None, OrderState.PENDING, "CREATED", at_ns))
    return order


def _trade(approval: EntryApproved, *, contract: Contract, owner: str, at_ns: int) -> Trade:
    target = approval.target_paise
    return Trade(
        pos_id=approval.pos_id or "",
        session_id=approval.session_id,
        user_id=approval.user_id,
        strategy=approval.strategy,
        symbol=approval.symbol,
        instrument=approval.instrument,
        contract=replace(contract, tick_size_paise=approval.tick_size_paise),
        side=approval.side,
        state=TradeState.SIGNAL_GENERATED,
        quantity_requested=approval.quantity,
        expected_price_paise=approval.price_paise,
        initial_stop_paise=round_to_tick(approval.stop_paise, approval.tick_size_paise),
        stop_paise=round_to_tick(approval.stop_paise, approval.tick_size_paise),
        target_paise=None if target is None else round_to_tick(target, approval.tick_size_paise),
        lot_size=approval.lot_size,
        tick_size_paise=approval.tick_size_paise,
        max_slippage_pct=approval.max_slippage_pct,
        order_timeout_seconds=approval.order_timeout_seconds,
        trace_id=approval.trace_id,
        intent_id=approval.intent_id,
        created_ns=approval.ts_event_ns,
        as_of_ns=at_ns,
        owner=owner,
        group_id=approval.group_id,
    )


def protect(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """Covers what is held by stops: the last live one made larger, and new ones for what is more than the exchange
    takes in one order. What the broker does not have is covered by none: a stop that fires would open a position."""
    stops, most = trade.all_live(OrderRole.STOP), trade.order_quantity_max
    missing = trade.there_quantity - sum(stop.quantity - stop.filled_quantity for stop in stops)
    if missing < 0:
        _uncover(stops, step, -missing, at_ns=at_ns)
        return
    if stops and missing:
        last = stops[-1]
        grown = missing if most is None else min(missing, max(0, most - last.quantity))
        missing -= grown
        _resize(last, step, last.quantity + grown, at_ns=at_ns)
    if missing:
        for quantity in slices(missing, lot_size=trade.lot_size, freeze_quantity=trade.contract.freeze_quantity):
            _new_stop(trade, step, quantity, trigger_paise=trade.stop_paise, at_ns=at_ns)


def protect_anew(trade: Trade, step: TradeStep, *, trigger_paise: int, at_ns: int) -> None:
    """Covers all that is held by new stops, whatever may become of those that live."""
    for quantity in slices(
        trade.there_quantity, lot_size=trade.lot_size, freeze_quantity=trade.contract.freeze_quantity
    ):
        _new_stop(trade, step, quantity, trigger_paise=trigger_paise, at_ns=at_ns)


def _uncover(stops: list[Order], step: TradeStep, quantity: int, *, at_ns: int) -> None:
    for stop in reversed(stops):
        cut = min(quantity, stop.quantity - stop.filled_quantity)
        quantity -= cut
        if cut and cut < stop.quantity - stop.filled_quantity:
            _resize(stop, step, stop.quantity - cut, at_ns=at_ns)
        elif cut and stop.state not in NOT_CANCELLABLE:
            cancel(stop, step, at_ns=at_ns)


def _resize(stop: Order, step: TradeStep, quantity: int, *, at_ns: int) -> None:
    previous, stop.quantity = stop.quantity, quantity
    stop.moves += 1
    if quantity != previous and stop.state is not OrderState.UNKNOWN:  # else when a look-up finds it other (on_report)
        step.requests.append(Modify(stop.order_id, at_ns, previous, previous_trigger_paise=stop.trigger_paise or 0))


def _new_stop(trade: Trade, step: TradeStep, quantity: int, *, trigger_paise: int, at_ns: int) -> None:
    # Where the exchange takes no stop at the market (options), one with a limit inside its price protection.
    stands = trade.protection is ProtectionKind.GTT and trade.target_paise is not None
    stands = stands and trade.exit_reason is None  # what is put back while exits are refused is to become the exit
    limit_paise = stop_limit_paise(
        trade.contract, transaction=trade.exit_transaction, trigger_paise=trigger_paise, day=ist_date(at_ns),
        is_standing=stands,
    )  # fmt: skip
    at_limit = OrderType.GTT if stands else OrderType.SL
    order = new_order(
        trade,
        step,
        role=OrderRole.STOP,
        transaction=trade.exit_transaction,
        order_type=OrderType.SL_M if limit_paise is None else at_limit,
        quantity=quantity,
        at_ns=at_ns,
        price_paise=limit_paise,
        trigger_paise=trigger_paise,
    )
    step.requests.append(Place(order.order_id))
