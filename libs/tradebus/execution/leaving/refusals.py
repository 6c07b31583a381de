"""What follows when a broker refuses the way out: trading stands still, orders at the market are blocked, a change is
not taken. Pure.

    the stop's change is refused ─► the stop stays and protects; asked again at other terms, less and less often
          └─ as often as that is asked ─► it is cancelled, and an exit of its own follows
    exits are refused and nothing protects ─► a stop is put back, and is the next to be turned, in the exit's time

Invariants (property-tested): while a stop lives no exit is sent beside it; what lives and closes the position is never
more than what is held; after an order at the market that was refused the next is a limit inside the price protection.
"""

from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.execution.deadlines import refused_last
from tradebus.execution.leaving.covering import rest_of, rounds
from tradebus.execution.leaving.pricing import farther_limit_paise
from tradebus.execution.leaving.taken_back import edge_paise_now, exit_terms_now
from tradebus.execution.opening import protect
from tradebus.execution.step import Notice, TradeStep
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import ist_date
from tradebus.trading.states import OrderState

# So often the change of a stop into the exit is asked for: half a minute of refusals. Then perhaps it is this order
# that may not be changed, and another may close the position.
CHANGE_REFUSALS_MAX = 6
_BARE_REFUSALS = 2  # exits in a row; then a stop is put back


def leaving_terms(
    trade: Trade, *, transaction: Transaction, at_ns: int, turned: Order | None = None
) -> tuple[OrderType, int | None]:
    """The type and limit of what closes the position next, a stop that is `turned` or a new order."""
    order_type, price_paise = exit_terms_now(trade, transaction=transaction, at_ns=at_ns)
    refused = turned if turned is not None and turned.refusals else next(iter(refused_last(trade)), None)
    if order_type is not OrderType.MARKET or refused is None or refused.order_type is not OrderType.MARKET:
        return order_type, price_paise
    if refused is not turned and refused.state is not OrderState.REJECTED:
        return order_type, price_paise
    return OrderType.LIMIT, _limit_paise(trade, transaction=transaction, at_ns=at_ns)


def _limit_paise(trade: Trade, *, transaction: Transaction, at_ns: int) -> int:
    """A step beyond the market; where that is not known beyond the stop, which it has not reached."""
    reference_paise = trade.touch.facing_paise(transaction) if trade.touch is not None else 0
    reference_paise = reference_paise or trade.stop_paise
    limit_paise = farther_limit_paise(
        trade.contract, transaction=transaction, reference_paise=reference_paise, attempt=1, day=ist_date(at_ns)
    )
    edge_paise = edge_paise_now(trade, transaction=transaction, at_ns=at_ns)
    if edge_paise is None:
        return limit_paise
    return max(limit_paise, edge_paise) if transaction is Transaction.SELL else min(limit_paise, edge_paise)


def waits_refused(trade: Trade) -> list[Order]:
    """The stops that were put back while exits are refused: they stay until it is time for the next exit. None where
    they are more than what is held."""
    stops = [order for order in trade.all_live(OrderRole.STOP) if not order.is_turned]
    fits = sum(rest_of(stop) for stop in stops) <= trade.there_quantity
    return stops if trade.at_broker and refused_last(trade) and fits else []


def put_stop_back(trade: Trade, step: TradeStep, *, at_ns: int) -> None:
    """Exits are refused again and again, and nothing protects what is held: a stop does, while they are tried on."""
    refused = [order for order in refused_last(trade) if order.state is OrderState.REJECTED]
    times = rounds(trade, refused)
    bare = all(order.ended for order in trade.orders) and trade.there_quantity > 0
    if not trade.at_broker or not bare or times < _BARE_REFUSALS:
        return
    if times == _BARE_REFUSALS:
        tell(trade, refused[0], step, action="a stop is put back, and exits are tried on: look at it at the broker")
    protect(trade, step, at_ns=at_ns)


def tell(trade: Trade, order: Order, step: TradeStep, *, action: str) -> None:
    """A person is to know that the broker does not let the position out."""
    step.notices.append(
        Notice(
            f"order {order.tag} ({trade.symbol})", ours=f"leaving: {trade.exit_reason}",
            brokers=f"refused: {order.reason}", action=action,
        )
    )  # fmt: skip
