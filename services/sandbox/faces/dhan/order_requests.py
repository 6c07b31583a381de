"""Dhan's order bodies as orders of the exchange. Pure; what is wrong with a field is a DH-905."""

from dataclasses import replace

from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import ORDER_TYPE_BY_WORD, PRODUCT_BY_WORD
from services.sandbox.ports import BrokerName, ChangedOrder, NewOrder, SandboxInstrument, Validity
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import Product

TRANSACTIONS = {each.value: each for each in Transaction}
VALIDITIES = {"DAY": Validity.DAY, "IOC": Validity.IOC}
_AMO_TIMES = ("PRE_OPEN", "OPEN", "OPEN_30", "OPEN_60")
_BY_SUPER_ORDER = "is not placed here: use /super/orders"
_SERVER_PROTECTION = -1.0  # Dhan turns MARKET into a limit order at a price of its own choice
PRICED = (OrderType.LIMIT, OrderType.SL)
TRIGGERED = (OrderType.SL, OrderType.SL_M)


def new_order(fields: Fields, instrument: SandboxInstrument) -> NewOrder:
    """Of a place or slice body. Raises DhanProblem."""
    product = product_of(fields, instrument)
    order_type = fields.word("orderType", ORDER_TYPE_BY_WORD)
    after_market = fields.flag("afterMarketOrder")
    if after_market and fields.text("amoTime", "OPEN") not in _AMO_TIMES:
        raise DhanProblem("DH-905", f"amoTime is none of {', '.join(_AMO_TIMES)}")
    order = NewOrder(
        instrument=instrument.index, transaction=fields.word("transactionType", TRANSACTIONS), order_type=order_type,
        product=product, quantity=positive(fields, "quantity"),
        price_paise=price_of(fields, order_type), trigger_paise=trigger_of(fields, order_type),
        disclosed_quantity=fields.whole("disclosedQuantity", 0),
        validity=fields.word("validity", VALIDITIES, "DAY"), tag=fields.correlation_id(),
        after_market=after_market, variety="amo" if after_market else "regular", source=BrokerName.DHAN,
    )  # fmt: skip
    return protected(order)


def product_of(fields: Fields, instrument: SandboxInstrument) -> Product:
    """CNC and MTF are for shares, MARGIN for derivatives; CO and BO have moved to super orders."""
    word = fields.text("productType")
    if word in ("CO", "BO"):
        raise DhanProblem("DH-905", f"productType {word} {_BY_SUPER_ORDER}")
    product = fields.word("productType", PRODUCT_BY_WORD)
    derivative = instrument.key.is_derivative
    if instrument.key.segment is Segment.INDEX:
        raise DhanProblem("DH-906", "an index is not traded")
    if (product is Product.DELIVERY and derivative) or (product is Product.CARRY and not derivative):
        raise DhanProblem("DH-906", f"productType {word} is not allowed in this exchangeSegment")
    return product


def positive(fields: Fields, name: str) -> int:
    """A quantity."""
    quantity = fields.whole(name)
    if quantity == 0:
        raise DhanProblem("DH-905", f"{name} must be more than 0")
    return quantity


def price_of(fields: Fields, order_type: OrderType, name: str = "price") -> int:
    """In paise; 0 where the type has none. Raises DhanProblem where it needs one."""
    price = fields.paise(name)
    if order_type not in PRICED:
        return 0
    if price == 0:
        raise DhanProblem("DH-905", f"{name} is required for this orderType")
    return price


def trigger_of(fields: Fields, order_type: OrderType) -> int:
    """In paise; 0 where the type has none. Raises DhanProblem where it needs one."""
    trigger = fields.paise("triggerPrice")
    if order_type not in TRIGGERED:
        return 0
    if trigger == 0:
        raise DhanProblem("DH-905", "triggerPrice is required for this orderType")
    return trigger


def protected(order: NewOrder) -> NewOrder:
    """The order with the server's own protection where it is one at the market."""
    if order.order_type in PRICED:
        return order
    return replace(order, market_protection_pct=_SERVER_PROTECTION)


def changed_order(fields: Fields) -> ChangedOrder:
    """Of a modify body: type, total quantity, price, trigger, validity. 0 leaves a quantity or price as it is."""
    order_type = fields.word("orderType", ORDER_TYPE_BY_WORD)
    return ChangedOrder(
        quantity=fields.whole("quantity", 0) or None, price_paise=fields.paise("price") or None,
        trigger_paise=fields.paise("triggerPrice") or None, order_type=order_type,
        validity=fields.word("validity", VALIDITIES, "DAY"),
        disclosed_quantity=fields.whole("disclosedQuantity", 0) or None,
    )  # fmt: skip


def slices(order: NewOrder, instrument: SandboxInstrument) -> list[NewOrder]:
    """The order in parts no larger than the freeze quantity, whole lots each but for what the client asked for."""
    limit = instrument.freeze_quantity // instrument.lot_size * instrument.lot_size
    if limit <= 0 or order.quantity <= limit:
        return [order]
    whole, rest = divmod(order.quantity, limit)
    return [replace(order, quantity=quantity) for quantity in [limit] * whole + ([rest] if rest else [])]
