"""What a new order and a modification say, in the exchange's terms. The rules of which price goes with which type."""

from services.sandbox.faces.upstox.errors import invalid
from services.sandbox.faces.upstox.fields import Fields
from services.sandbox.faces.upstox.words import ORDER_TYPES, PRODUCTS, TRANSACTIONS, VALIDITIES, product_of
from services.sandbox.ports import BrokerName, ChangedOrder, Exchange, NewOrder, SandboxInstrument
from tradebus.contracts.orders import OrderType

_TAG_LENGTH_MAX = 40
_PROTECTION_MAX = 25.0
_AUTOMATIC = -1.0
_UNPROTECTED_TYPES = (OrderType.LIMIT, OrderType.SL)
_PRODUCT_WORDS = {word: word for word in PRODUCTS}


def instrument_named(exchange: Exchange, key: str, *, field: str = "instrument_token") -> SandboxInstrument:
    """Raises UpstoxError where nothing is listed under the key."""
    found = exchange.by_upstox_key(key)
    if found is None:
        raise invalid(field, key[:60], "Invalid Instrument key", code="UDAPI100011")
    return found


def new_order(exchange: Exchange, asked: Fields) -> NewOrder:
    """Raises UpstoxError naming the first field that cannot be."""
    instrument = instrument_named(exchange, asked.text("instrument_token", code="UDAPI1026"))
    quantity = asked.whole("quantity", code="UDAPI1052")
    if quantity == 0:
        raise invalid("quantity", 0, "Quantity cannot be zero", code="UDAPI1052")
    order_type = asked.choice("order_type", ORDER_TYPES, code="UDAPI1056")
    tag = asked.optional_text("tag")
    if len(tag) > _TAG_LENGTH_MAX:
        raise invalid("tag", tag, f"tag is longer than {_TAG_LENGTH_MAX} characters", code="UDAPI1119")
    disclosed = asked.whole("disclosed_quantity", 0)
    if disclosed and disclosed * 10 < quantity:
        raise invalid(
            "disclosed_quantity", disclosed, "Disclosed quantity must be a tenth of the quantity or more",
            code="UDAPI1039",
        )  # fmt: skip
    price_paise, trigger_paise = _prices(asked, order_type)
    return NewOrder(
        instrument=instrument.index, transaction=asked.choice("transaction_type", TRANSACTIONS, code="UDAPI1057"),
        product=product_of(asked.choice("product", _PRODUCT_WORDS, code="UDAPI1054"), instrument),
        order_type=order_type, quantity=quantity, price_paise=price_paise, trigger_paise=trigger_paise,
        disclosed_quantity=disclosed,
        validity=asked.choice("validity", VALIDITIES, code="UDAPI1055"), tag=tag,
        market_protection_pct=protection(asked, order_type), source=BrokerName.UPSTOX,
    )  # fmt: skip


def change_of(asked: Fields) -> ChangedOrder:
    """A modification says everything again, but for a quantity it leaves out or at zero."""
    order_type = asked.choice("order_type", ORDER_TYPES, code="UDAPI1056")
    price_paise, trigger_paise = _prices(asked, order_type)
    protection(asked, order_type)
    return ChangedOrder(
        quantity=asked.whole("quantity", 0) or None, price_paise=price_paise, trigger_paise=trigger_paise,
        order_type=order_type, validity=asked.choice("validity", VALIDITIES, code="UDAPI1055"),
        disclosed_quantity=asked.whole("disclosed_quantity", 0) or None,
    )  # fmt: skip


def _prices(asked: Fields, order_type: OrderType) -> tuple[int, int]:
    """Price and trigger in paise, 0 where the type has none."""
    price, trigger = asked.paise("price"), asked.paise("trigger_price")
    if order_type is OrderType.LIMIT and not price:
        raise invalid("price", 0, "Price is required", code="UDAPI1029")
    if order_type is OrderType.MARKET and price:
        raise invalid("price", price / 100, "Price is not required", code="UDAPI1030")
    if order_type is OrderType.SL and not (price and trigger):
        raise invalid("price", price / 100, "Price and Trigger price both are required", code="UDAPI1031")
    if order_type is OrderType.SL_M and (price or not trigger):
        raise invalid("trigger_price", trigger / 100, "Only Trigger price is required", code="UDAPI1032")
    return price, trigger if order_type in (OrderType.SL, OrderType.SL_M) else 0


def protection(asked: Fields, order_type: OrderType) -> float:
    """The percentage; -1 (the exchange's own) where a market order does not say, 0 for what needs none."""
    value = asked.number("market_protection")
    if value is not None and value > _PROTECTION_MAX:
        raise invalid("market_protection", value, "Market Protection cannot be greater than 25%", code="UDAPI1159")
    if value is not None and value < 0 and value != _AUTOMATIC:
        raise invalid("market_protection", value, "Invalid market protection", code="UDAPI1160")
    if order_type in _UNPROTECTED_TYPES:
        return 0.0
    return _AUTOMATIC if value is None else value
