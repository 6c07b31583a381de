"""What is refused before it becomes an order, and what price a protected order may trade at.

A refusal is the answer to the request (`Refusal`); what the exchange's risk checks turn down after that (margin,
holdings, band, freeze) becomes a REJECTED order in the book.
"""

from dataclasses import replace

from services.sandbox.domain.instruments.shape import contract_of
from services.sandbox.domain.orders.order import STOP_TYPES
from services.sandbox.ports import NewOrder, Refusal, SandboxInstrument, Validity, Why
from tradebus.calendar import ProposedOrder, time_legal, values_legal
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderRole, OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.trading.orders import Product

MODIFICATIONS_MAX = 25
_AT_MARKET = (OrderType.MARKET, OrderType.SL_M)
_TTL_MINUTES_MAX = 1440
# The exchange's own choice of protection: below this price in paise, so many percent.
_AUTO_OPTION = ((1_000, 5.0), (10_000, 3.0), (50_000, 2.0))
_AUTO_OTHER = ((10_000, 2.0),)
_AUTO_REST = 1.0
_LEGALITY = {
    "not_tradable": Why.NOT_ALLOWED,
    "contract_expired": Why.UNKNOWN_INSTRUMENT,
    "pre_open": Why.NOT_ALLOWED,
    "closing_auction": Why.NOT_ALLOWED,
    "auction_band": Why.PRICE_BAND,
    "market_protection": Why.MARKET_PROTECTION,
    "option_stop_market": Why.NOT_ALLOWED,
    "quantity": Why.BAD_VALUE,
    "lot_size": Why.LOT_SIZE,
    "freeze_quantity": Why.FREEZE_QUANTITY,
    "price": Why.BAD_VALUE,
    "trigger": Why.TRIGGER_PRICE,
    "tick_size": Why.TICK_SIZE,
    "stop_limit": Why.TRIGGER_PRICE,
    "price_protection": Why.PRICE_BAND,
}
_REJECTS = ("freeze_quantity", "price_protection")  # the order enters the book of the day, as a rejected one


def check_values(order: NewOrder, instrument: SandboxInstrument, now_ns: int) -> None:
    """Quantity, prices, product and validity of a new or changed order. Raises Refusal."""
    if instrument.key.segment is Segment.INDEX:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is an index and cannot be traded")
    found = values_legal(contract_of(instrument), _proposed(order, protected=True), day=ist_date(now_ns))
    if found is not None and found.rule not in _REJECTS:
        raise Refusal(_LEGALITY[found.rule], found.detail)
    _check_disclosed(order)
    if not -1 <= order.market_protection_pct <= 100 or -1 < order.market_protection_pct < 0:
        raise Refusal(Why.BAD_VALUE, "market protection must be -1 (automatic), 0 or up to 100 percent")
    if order.validity is Validity.TTL and not 1 <= order.validity_minutes <= _TTL_MINUTES_MAX:
        raise Refusal(Why.BAD_VALUE, f"validity of a TTL order must be 1 to {_TTL_MINUTES_MAX} minutes")
    if order.validity is Validity.IOC and order.order_type in STOP_TYPES:
        raise Refusal(Why.NOT_ALLOWED, "a stop order cannot be IOC")
    _check_product(order, instrument)


def rejection_of(order: NewOrder, instrument: SandboxInstrument, now_ns: int) -> tuple[Why, str] | None:
    """What the exchange turns down of an order that was taken: above the freeze quantity, beyond price protection."""
    found = values_legal(contract_of(instrument), _proposed(order, protected=True), day=ist_date(now_ns))
    return (_LEGALITY[found.rule], found.detail) if found is not None and found.rule in _REJECTS else None


def _proposed(order: NewOrder, *, protected: bool) -> ProposedOrder:
    return ProposedOrder(
        role=OrderRole.EXIT,  # the exchange knows no roles: what closes a position is what it always takes
        transaction=order.transaction,
        order_type=order.order_type,
        quantity=order.quantity,
        price_paise=order.price_paise or None,
        trigger_paise=order.trigger_paise or None,
        has_protection=protected,
        is_ioc=order.validity is Validity.IOC,
        disclosed_quantity=order.disclosed_quantity,
    )


def _check_disclosed(order: NewOrder) -> None:
    disclosed = order.disclosed_quantity
    if disclosed < 0 or disclosed > order.quantity or 0 < disclosed * 10 < order.quantity:
        text = f"disclosed quantity {disclosed} must be 0 or from a tenth of the quantity up to all of it"
        raise Refusal(Why.BAD_VALUE, text)


def _check_product(order: NewOrder, instrument: SandboxInstrument) -> None:
    if instrument.key.is_derivative and order.product is Product.DELIVERY:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is a derivative: it has no delivery product")
    if not instrument.key.is_derivative and order.product is Product.CARRY:
        raise Refusal(Why.NOT_ALLOWED, f"{instrument.symbol} is a share: it has no carry-forward product")


def check_legal(order: NewOrder, instrument: SandboxInstrument, now_ns: int, *, last_paise: int) -> None:
    """The dated rules of the calendar at this instant; the last price is what a closing auction goes by. Raises
    Refusal."""
    proposed = _proposed(order, protected=order.market_protection_pct != 0)
    at_auction = replace(proposed, reference_paise=last_paise or None)
    found = time_legal(contract_of(instrument), at_auction, ts_ns=now_ns)
    found = found or values_legal(contract_of(instrument), proposed, day=ist_date(now_ns))
    if found is not None and found.rule not in _REJECTS:
        raise Refusal(_LEGALITY.get(found.rule, Why.MARKET_CLOSED), found.detail)


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
