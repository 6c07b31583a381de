"""From Kite's words to what the exchange is asked for."""

from services.sandbox.faces.kite.fields import Fields
from services.sandbox.faces.kite.replies import bad_input
from services.sandbox.faces.kite.words import ORDER_TYPES, PRODUCT_WORDS, PRODUCTS, TRANSACTIONS
from services.sandbox.ports import BrokerName, ChangedOrder, Exchange, NewOrder, SandboxInstrument, Validity
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product

_VALIDITIES = {str(validity): validity for validity in Validity}
_TTL_MINUTES_MAX = 1439
_PRICED = (OrderType.LIMIT, OrderType.SL)
_STOPS = (OrderType.SL, OrderType.SL_M)
_PROTECTED = (OrderType.MARKET, OrderType.SL_M)
_LEGS = (2, 50)


def instrument_asked(exchange: Exchange, fields: Fields) -> SandboxInstrument:
    """By `exchange` and `tradingsymbol`. Raises KiteError naming them where nothing tradable is listed so."""
    listed = exchange.find(exchange=fields.text("exchange"), symbol=fields.text("tradingsymbol"))
    if listed is None:
        name = f"{fields.text('exchange')}:{fields.text('tradingsymbol')}"
        raise bad_input(f"Invalid `tradingsymbol`: {name[:60]!r} is not in the instrument list or has expired")
    if listed.key.segment is Segment.INDEX:
        raise bad_input("Invalid `tradingsymbol`: an index is not tradable")
    return listed


def product_asked(fields: Fields, instrument: SandboxInstrument, name: str = "product") -> Product:
    """CNC is for shares, NRML for derivatives, MIS for both. Raises KiteError naming the field."""
    product = fields.word(name, PRODUCTS)
    wrong = Product.DELIVERY if instrument.key.is_derivative else Product.CARRY
    if product is wrong:
        raise bad_input(f"Invalid `{name}`: {PRODUCT_WORDS[product]} is not allowed on {instrument.key.segment}")
    return product


def order_asked(exchange: Exchange, fields: Fields, *, variety: str) -> NewOrder:
    """A new order. Raises KiteError naming the field that is missing or wrong."""
    instrument = instrument_asked(exchange, fields)
    transaction = fields.word("transaction_type", TRANSACTIONS)
    order_type = fields.word("order_type", ORDER_TYPES)
    validity = fields.word("validity", _VALIDITIES, "DAY")
    return NewOrder(
        instrument=instrument.index, transaction=transaction, order_type=order_type,
        product=product_asked(fields, instrument), quantity=fields.integer("quantity", least=1),
        price_paise=fields.paise("price", None) if order_type in _PRICED else 0,
        trigger_paise=fields.paise("trigger_price", None) if order_type in _STOPS else 0,
        disclosed_quantity=fields.integer("disclosed_quantity", 0), validity=validity,
        validity_minutes=fields.integer("validity_ttl", least=1, most=_TTL_MINUTES_MAX)
        if validity is Validity.TTL else 0,
        tag=fields.tag(), market_protection_pct=protection_asked(fields, order_type),
        after_market=variety == "amo", variety=variety, source=BrokerName.KITE,
    )  # fmt: skip


def protection_asked(fields: Fields, order_type: OrderType) -> float:
    """-1 for the exchange's choice, up to 100 percent, 0 for none; only where the order needs it."""
    percent = fields.decimal("market_protection")
    if percent != -1 and not 0 <= percent <= 100:
        raise bad_input("Invalid `market_protection`: -1, or a percentage above 0 and up to 100")
    return percent if order_type in _PROTECTED else 0.0


def change_asked(fields: Fields) -> ChangedOrder:
    """A modification: only what the request names."""
    order_type = fields.word("order_type", ORDER_TYPES) if fields.has("order_type") else None
    protection_pct = None
    if fields.has("market_protection") and order_type not in _PRICED:
        protection_pct = protection_asked(fields, OrderType.MARKET)
        if protection_pct == 0:
            raise bad_input("Invalid `market_protection`: 0 leaves the order without the protection it needs")
    return ChangedOrder(
        quantity=fields.integer("quantity", least=1) if fields.has("quantity") else None,
        price_paise=fields.paise("price") if fields.has("price") else None,
        trigger_paise=fields.paise("trigger_price") if fields.has("trigger_price") else None,
        order_type=order_type,
        validity=fields.word("validity", _VALIDITIES) if fields.has("validity") else None,
        disclosed_quantity=fields.integer("disclosed_quantity") if fields.has("disclosed_quantity") else None,
        market_protection_pct=protection_pct,
    )


def legs_asked(fields: Fields, order: NewOrder) -> list[int]:
    """The quantities of an iceberg's legs. Raises KiteError naming the field."""
    legs = fields.integer("iceberg_legs", least=_LEGS[0], most=_LEGS[1])
    each = fields.integer("iceberg_quantity", least=1)
    if order.order_type is not OrderType.LIMIT:
        raise bad_input("Invalid `order_type`: an iceberg order is a LIMIT order")
    if not (legs - 1) * each < order.quantity <= legs * each:
        raise bad_input(f"Invalid `iceberg_quantity`: {legs} legs of {each} do not make up {order.quantity}")
    return [each] * (legs - 1) + [order.quantity - (legs - 1) * each]


def slices_of(quantity: int, freeze_quantity: int, lot_size: int) -> list[int]:
    """Whole lots of at most the freeze quantity each."""
    most = max(freeze_quantity // lot_size, 1) * lot_size if freeze_quantity > 0 else quantity
    whole, rest = divmod(quantity, most)
    return [most] * whole + ([rest] if rest else [])


def margin_order_asked(exchange: Exchange, fields: Fields) -> NewOrder:
    """An order of a margin calculation: as a new one, but a price may be missing or 0."""
    instrument = instrument_asked(exchange, fields)
    return NewOrder(
        instrument=instrument.index, transaction=fields.word("transaction_type", TRANSACTIONS),
        order_type=fields.word("order_type", ORDER_TYPES, "MARKET"), product=product_asked(fields, instrument),
        quantity=fields.integer("quantity", least=1),
        price_paise=fields.paise("price"), trigger_paise=fields.paise("trigger_price"),
        market_protection_pct=-1, source=BrokerName.KITE,
    )  # fmt: skip
