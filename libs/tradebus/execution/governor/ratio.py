"""The order-to-trade ratio and the changes of one order, which bound how often a stop may be trailed.

Orders near the last price are exempt from the ratio (since 2026-04-06, SURV73597): options within 40 % of it (above a
premium of ₹50; ₹20 below), anything else within 0.75 %. Changes of an order count as orders do, trades are what filled.
"""

from collections.abc import Sequence

from tradebus.contracts.orders import OrderRole
from tradebus.execution.governor.budget import OrderAsk, OrderBudget
from tradebus.execution.governor.limits import OrderLane, OrderLimit
from tradebus.execution.trade import Order, Trade

# Our own guard, far below what exchanges have penalised; the first messages of a day count for nothing.
RATIO_MAX, RATIO_FREE = 25, 100
# Brokers refuse the twenty-sixth change of an order; the last of them are for a stop that must grow with its position.
CHANGES_MAX, CHANGES_KEPT = 25, 5
_OPTION_PCT, _OPTION_BELOW_PAISE, _OPTION_WIDTH_PAISE, _OTHER_PCT = 40.0, 5_000, 2_000, 0.75


def is_exempt(*, is_option: bool, price_paise: int, last_paise: int) -> bool:
    """Whether an order at this price is near enough to the last one."""
    away = abs(price_paise - last_paise)
    if not is_option:
        return away * 100 <= _OTHER_PCT * last_paise
    if last_paise < _OPTION_BELOW_PAISE:
        return away <= _OPTION_WIDTH_PAISE
    return away * 100 <= _OPTION_PCT * last_paise


def counts_to_ratio(trade: Trade, order: Order) -> bool:
    """Whether an order, placed or changed, counts. What goes to the market is at the market; a limit is measured from
    the last price where it is known, else from the price that the trade was expected at, or where it was filled."""
    price_paise = order.trigger_paise or order.price_paise
    if price_paise is None:
        return False
    last_paise = trade.touch.last_paise if trade.touch is not None else 0
    last_paise = last_paise or trade.entry_price_paise or trade.expected_price_paise
    return not is_exempt(is_option=trade.contract.is_option, price_paise=price_paise, last_paise=last_paise)


def may_press(order: Order) -> bool:
    """Whether a broker takes another change of what closes a position, those of earlier lives counted. What is kept for
    a stop that grows is there for it once it is the way out."""
    most = CHANGES_MAX if order.role is OrderRole.STOP else CHANGES_MAX - CHANGES_KEPT
    return max(order.moves, order.changes) < most


def why_not_trail(
    budget: OrderBudget, limits: Sequence[OrderLimit], ask: OrderAsk, *, changes: int, now_ns: int
) -> str:
    """Why the stop had better stay where it is, "" where it may be trailed: an order changed `changes` times so far.
    A trailing stop leaves the other half of what entries may use to them."""
    if changes >= CHANGES_MAX - CHANGES_KEPT:
        return f"changed {changes} times, the rest of the {CHANGES_MAX} is kept for a position that grows"
    look = OrderAsk(ask.segment, OrderLane.ENTRY)
    admission = budget.look(limits, look, now_ns=now_ns)
    if admission.reason:
        return admission.reason
    for limit in limits:
        used = budget.used(limit, ask.segment, now_ns=now_ns)
        if used > limit.open_to(OrderLane.ENTRY) // 2:
            return f"order limit: {used:,} of {limit.kept:,} requests of one {limit.name} are used"
    if ask.counted and budget.messages >= RATIO_FREE and budget.messages >= RATIO_MAX * max(1, budget.trades):
        return f"order-to-trade ratio: {budget.messages:,} orders and changes for {budget.trades:,} trades today"
    return ""
