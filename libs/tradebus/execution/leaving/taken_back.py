"""What the exchange's price protection leaves to an exit. Pure.

Where an option's price has fallen away from the average of its last half minute, nobody may sell at the market of now:
an order that would is taken back when it matches, and the position stands bare. A limit at the edge of the protection
rests there, follows the average down, and is taken as soon as anybody may.

    market of now inside the protection ─► at the market
    outside ─► a limit inside it ─► stands: moved out again, step by step, until it is taken
                       └─► taken back all the same, for the average is not known so well? farther inside each time

Invariants (property-tested): a limit is inside the protection around the average, and on the better side of the market
only where that asks for it.
"""

from tradebus.calendar import Contract, protection_band
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.execution.leaving.covering import rounds
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.trading.states import OrderState

# Of the way from the average to the protection's edge; what was taken back before goes beyond the average in the end.
_SHARES_PCT = (90, 0, -100, -200)
TAKEN_BACK_MAX = len(_SHARES_PCT)
_MARKET_REACH_PCT = 5  # how far from the best price an order at the market may trade
_AT_ONCE_NS = 2 * NANOSECONDS_PER_SECOND


def taken_back(trade: Trade) -> int:
    """How often in a row, at last but for what rests, the position was to be closed and all of that was taken back."""
    found = list[Order]()
    for order in reversed(trade.orders):
        leaves = order.role is OrderRole.EXIT or order.is_turned
        if leaves and not order.ended:
            continue
        if not leaves or order.state is not OrderState.CANCELLED or order.filled_quantity:
            break
        if order.role is OrderRole.EXIT and order.updated_ns - order.placed_ns >= _AT_ONCE_NS:
            break
        found.append(order)
    return rounds(trade, found)


def exit_terms_now(trade: Trade, *, transaction: Transaction, at_ns: int) -> tuple[OrderType, int | None]:
    """The type and limit of what closes the position: at the market wherever that may match."""
    edge_paise = edge_paise_now(trade, transaction=transaction, at_ns=at_ns)
    if edge_paise is None or (trade.touch is None and taken_back(trade) == 0):
        return OrderType.MARKET, None
    best = trade.touch.facing_paise(transaction) if trade.touch is not None else 0
    sells = transaction is Transaction.SELL
    reach = best * (100 - _MARKET_REACH_PCT if sells else 100 + _MARKET_REACH_PCT) // 100
    if taken_back(trade) == 0 and (reach >= edge_paise if sells else reach <= edge_paise):
        return OrderType.MARKET, None
    return OrderType.LIMIT, edge_paise


def edge_paise_now(trade: Trade, *, transaction: Transaction, at_ns: int, moves: int = 0) -> int | None:
    """The farthest limit that price protection leaves, as far as that is known, on the tick; None where there is no
    such rule. What stands is moved out again with each of its `moves`."""
    touch: Touch | None = trade.touch
    average = round(touch.recent_paise) if touch is not None else first_average_paise(trade)
    if average <= 0:
        return None
    band = protection_band(trade.contract, average, ist_date(at_ns))
    if band is None:
        return None
    share = _SHARES_PCT[max(0, min(taken_back(trade), TAKEN_BACK_MAX - 1) - moves)]
    return _on_tick(trade.contract, average + (_edge(band, transaction) - average) * share // 100, transaction)


def first_average_paise(trade: Trade) -> int:
    """What the average is taken for before the first tick: what was paid, or what it cost when the entry was decided
    on, whichever is dearer to leave at. Bought after a fall, its average is still nearer to what it was before."""
    paid_paise, before_paise = trade.entry_price_paise, trade.expected_price_paise
    if not paid_paise:
        return before_paise
    sells = trade.exit_transaction is Transaction.SELL
    return max(paid_paise, before_paise) if sells else min(paid_paise, before_paise)


def _edge(band: tuple[int, int], transaction: Transaction) -> int:
    return band[0] if transaction is Transaction.SELL else band[1]


def _on_tick(contract: Contract, paise: int, transaction: Transaction) -> int:
    """Rounded inwards."""
    tick = contract.tick_size_paise
    return max(tick, -(-paise // tick) * tick if transaction is Transaction.SELL else paise // tick * tick)
