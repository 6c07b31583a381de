"""What is refused before it becomes an order, and what price a protected order may trade at.

A refusal is the answer to the request (`Refusal`); what the exchange's risk checks turn down after that (margin,
holdings, band, freeze) becomes a REJECTED order in the book.
"""

from services.sandbox.domain.orders import STOP_TYPES
from services.sandbox.ports import NewOrder, Refusal, SandboxInstrument, Validity, Why
from tradebus.calendar import order_legal
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.trading.orders import Product

MODIFICATIONS_MAX = 25
_NEEDS_PRICE = (OrderType.LIMIT, OrderType.SL)
_AT_MARKET = (OrderType.MARKET, OrderType.SL_M)
_TTL_MINUTES_MAX = 1440
# The exchange's own choice of protection: below this price in paise, so many percent.
_AUTO_OPTION = ((1_000, 5.0), (10_000, 3.0), (50_000, 2.0))
_AUTO_OTHER = ((10_000, 2.0),)
_AUTO_REST = 1.0
_LEGALITY = {
    "market_protection": Why.MARKET_PROTECTION,
    "option_stop_market": Why.NOT_ALLOWED,
    "closing_auction": Why.NOT_ALLOWED,
}


def check_values(order: NewOrder, instrument: SandboxInstrument) -> None:
    """Quantity, prices, product and validity of a new or changed order. Raises Refusal."""
    if instrument.key.segment is Segment.INDEX:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is an index and cannot be traded")
    _check_quantity(order, instrument)
    if order.order_type in _NEEDS_PRICE:
        _check_price("price", order.price_paise, instrument, Why.BAD_VALUE)
    if order.order_type in STOP_TYPES:
        _check_price("trigger price", order.trigger_paise, instrument, Why.TRIGGER_PRICE)
    if order.order_type is OrderType.SL:
        _check_stop_limit(order)
    if not -1 <= order.market_protection_pct <= 100 or -1 < order.market_protection_pct < 0:
        raise Refusal(Why.BAD_VALUE, "market protection must be -1 (automatic), 0 or up to 100 percent")
    if order.validity is Validity.TTL and not 1 <= order.validity_minutes <= _TTL_MINUTES_MAX:
        raise Refusal(Why.BAD_VALUE, f"validity of a TTL order must be 1 to {_TTL_MINUTES_MAX} minutes")
    if order.validity is Validity.IOC and order.order_type in STOP_TYPES:
        raise Refusal(Why.NOT_ALLOWED, "a stop order cannot be IOC")
    _check_product(order, instrument)


def _check_quantity(order: NewOrder, instrument: SandboxInstrument) -> None:
    if order.quantity <= 0:
        raise Refusal(Why.BAD_VALUE, f"quantity must be positive, not {order.quantity}")
    if order.quantity % instrument.lot_size:
        text = f"quantity {order.quantity} of {instrument.symbol} is not a multiple of the lot of {instrument.lot_size}"
        raise Refusal(Why.LOT_SIZE, text)
    disclosed = order.disclosed_quantity
    if disclosed < 0 or disclosed > order.quantity or 0 < disclosed * 10 < order.quantity:
        text = f"disclosed quantity {disclosed} must be 0 or from a tenth of the quantity up to all of it"
        raise Refusal(Why.BAD_VALUE, text)


def _check_price(name: str, paise: int, instrument: SandboxInstrument, why: Why) -> None:
    if paise <= 0:
        raise Refusal(why, f"{name} is needed and must be positive")
    if paise % instrument.tick_size_paise:
        text = f"{name} {paise / 100:.2f} of {instrument.symbol} is not a multiple of the tick of "
        raise Refusal(Why.TICK_SIZE, f"{text}{instrument.tick_size_paise / 100:.2f}")


def _check_stop_limit(order: NewOrder) -> None:
    if order.transaction is Transaction.BUY and order.price_paise < order.trigger_paise:
        raise Refusal(Why.TRIGGER_PRICE, "trigger price of a buy stop-limit order must not be above its price")
    if order.transaction is Transaction.SELL and order.price_paise > order.trigger_paise:
        raise Refusal(Why.TRIGGER_PRICE, "trigger price of a sell stop-limit order must not be below its price")


def _check_product(order: NewOrder, instrument: SandboxInstrument) -> None:
    if instrument.key.is_derivative and order.product is Product.DELIVERY:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is a derivative: it has no delivery product")
    if not instrument.key.is_derivative and order.product is Product.CARRY:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is a share: it has no carry-forward product")


def check_legal(order: NewOrder, instrument: SandboxInstrument, now_ns: int) -> None:
    """The dated rules of the calendar at this instant. Raises Refusal."""
    legality = order_legal(
        market_class=instrument.market_class,
        role=OrderRole.EXIT,  # the exchange knows no roles: what closes a position is what it always takes
        order_type=order.order_type,
        has_protection=order.market_protection_pct != 0,
        ts_ns=now_ns,
        is_option=instrument.key.is_option,
    )
    if not legality.allowed:
        raise Refusal(_LEGALITY.get(legality.rule, Why.MARKET_CLOSED), legality.detail)


def protected_paise(
    order: NewOrder, instrument: SandboxInstrument, *, reference_paise: int, lower_paise: int, upper_paise: int
) -> int:
    """The limit of a market order: its reference price and so many percent, rounded inwards, within the day's band.
    Without protection (where that is still allowed) the band itself."""
    buys = order.transaction is Transaction.BUY
    percent = order.market_protection_pct
    if percent == 0:
        return upper_paise if buys else lower_paise
    if percent < 0:
        percent = _automatic(instrument, reference_paise)
    tick = instrument.tick_size_paise
    width = int(reference_paise * percent / 100) // tick * tick
    width = max(width, tick)
    limit = reference_paise + width if buys else reference_paise - width
    return min(max(limit, lower_paise), upper_paise)


def _automatic(instrument: SandboxInstrument, reference_paise: int) -> float:
    table = _AUTO_OPTION if instrument.key.is_option else _AUTO_OTHER
    return next((percent for below, percent in table if reference_paise < below), _AUTO_REST)


def at_market(order_type: OrderType) -> bool:
    """Whether the type names no price of its own."""
    return order_type in _AT_MARKET
