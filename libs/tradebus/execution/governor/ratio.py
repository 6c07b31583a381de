"""The order-to-trade ratio and the changes of one order, which bound how often a stop may be trailed.

Orders near the last price are exempt from the ratio, as the dated rule of the calendar says. Changes of an order count
as orders do, trades are what filled.
"""

from collections.abc import Sequence
from datetime import date

from tradebus.calendar.rules import begun, current
from tradebus.contracts.orders import OrderRole
from tradebus.execution.governor.budget import OrderAsk, OrderBudget
from tradebus.execution.governor.limits import OrderLane, OrderLimit
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date

# Our own guard, far below what exchanges have penalised; the first messages of a day count for nothing.
RATIO_MAX, RATIO_FREE = 25, 100
# Brokers refuse the twenty-sixth change of an order; the last of them are for a stop that must grow with its position.
CHANGES_MAX, CHANGES_KEPT = 25, 5


def is_exempt(*, is_option: bool, price_paise: int, last_paise: int, day: date) -> bool:
    """Whether an order at this price is near enough to the last one. What held before the first rule that is known is
    measured by that."""
    rules, away = current().tables.order_ratio_exemptions, abs(price_paise - last_paise)
    rule = begun(rules, day) or rules[0]
    if not is_option:
        return away * 100 <= rule.other_percent * last_paise
    if last_paise < rule.option_below_paise:
        return away <= rule.option_width_paise
    return away * 100 <= rule.option_percent * last_paise


def counts_to_ratio(trade: Trade, order: Order) -> bool:
    """Whether an order, placed or changed, counts. What goes to the market is at the market; a limit is measured from
    the last price where it is known, else from the price that the trade was expected at, or where it was filled."""
    price_paise = order.trigger_paise or order.price_paise
    if price_paise is None:
        return False
    last_paise = trade.touch.last_paise if trade.touch is not None else 0
    last_paise = last_paise or trade.entry_price_paise or trade.expected_price_paise
    return not is_exempt(
        is_option=trade.contract.is_option, price_paise=price_paise, last_paise=last_paise,
        day=ist_date(order.updated_ns),
    )  # fmt: skip


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
