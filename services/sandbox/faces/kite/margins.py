"""What orders would need and cost: margins and charges of orders that are not placed."""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.asking import margin_order_asked
from services.sandbox.faces.kite.fields import Fields, json_list_of
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import success
from services.sandbox.faces.kite.rows import Row
from services.sandbox.faces.kite.words import PRODUCT_WORDS, exchange_of, kind_of, rupees
from services.sandbox.ports import Exchange, NewOrder
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_date
from tradebus.trading.charges import Charges, charges_paise
from tradebus.trading.orders import Product


def margin_routes(exchange: Exchange, authorise: Authorise) -> APIRouter:
    router = APIRouter()

    @router.post("/margins/orders")
    async def order_margins(request: Request) -> Response:
        authorise(request)
        orders = _asked(exchange, await json_list_of(request))
        return success(_margin_rows(exchange, orders))

    @router.post("/margins/basket")
    async def basket_margins(request: Request) -> Response:
        authorise(request)
        orders = _asked(exchange, await json_list_of(request))
        rows = _margin_rows(exchange, orders)
        needed = exchange.required_margins(orders)
        charges = [_charges(exchange, order) for order in orders]
        return success({
            "initial": _margin_row("", "", "", sum(needed.alone_paise), Charges(), derivative=True),
            "final": _margin_row("", "", "", needed.together_paise, Charges(), derivative=True), "orders": rows,
            "charges": _charge_row(_sum(charges)),
        })  # fmt: skip

    @router.post("/charges/orders")
    async def contract_note(request: Request) -> Response:
        authorise(request)
        fields = await json_list_of(request)
        return success([_note_row(exchange, field) for field in fields])

    return router


def _asked(exchange: Exchange, fields: Sequence[Fields]) -> list[NewOrder]:
    return [margin_order_asked(exchange, each) for each in fields]


def _margin_rows(exchange: Exchange, orders: Sequence[NewOrder]) -> list[Row]:
    rows = []
    for order, needed_paise in zip(orders, exchange.required_margins(orders).alone_paise, strict=True):
        instrument = exchange.instruments[order.instrument]
        rows.append(_margin_row(
            "equity", instrument.symbol, exchange_of(instrument.key), needed_paise, _charges(exchange, order),
            derivative=instrument.key.is_derivative,
            premium=instrument.key.is_option and order.transaction is Transaction.BUY,
        ))  # fmt: skip
    return rows


def _margin_row(
    kind: str, symbol: str, exchange: str, needed_paise: int, charges: Charges, *, derivative: bool,
    premium: bool = False,
) -> Row:  # fmt: skip
    """The sandbox knows one number per order; it stands where Kite puts the like of it."""
    needed = rupees(needed_paise)
    span = needed if derivative and not premium else 0
    return {
        "type": kind, "tradingsymbol": symbol, "exchange": exchange, "span": span, "exposure": 0,
        "option_premium": needed if premium else 0, "additional": 0, "bo": 0, "cash": 0,
        "var": 0 if derivative else needed, "pnl": {"realised": 0, "unrealised": 0}, "leverage": 1,
        "charges": _charge_row(charges), "total": needed,
    }  # fmt: skip


def _charge_row(charges: Charges) -> Row:
    tax = rupees(charges.gst_paise)
    return {
        "transaction_tax": rupees(charges.stt_paise), "transaction_tax_type": "stt",
        "exchange_turnover_charge": rupees(charges.transaction_paise + charges.ipft_paise),
        "sebi_turnover_charge": rupees(charges.sebi_paise), "brokerage": rupees(charges.brokerage_paise),
        "stamp_duty": rupees(charges.stamp_paise),
        "gst": {"igst": tax, "cgst": 0, "sgst": 0, "total": tax}, "total": rupees(charges.total_paise),
    }  # fmt: skip


def _charges(exchange: Exchange, order: NewOrder) -> Charges:
    """Of the order filled at its price, or at the last one where it names none."""
    instrument = exchange.instruments[order.instrument]
    price_paise = order.price_paise or int(exchange.quotes["price_paise"][order.instrument])
    if price_paise <= 0:
        return Charges()
    return charges_paise(
        day=ist_date(exchange.now_ns), kind=kind_of(instrument), transaction=order.transaction,
        quantity=order.quantity, price_paise=price_paise, delivery=order.product is Product.DELIVERY,
    )  # fmt: skip


def _sum(charges: Sequence[Charges]) -> Charges:
    return Charges(**{name: sum(each.parts[name] for each in charges) for name in Charges().parts})


def _note_row(exchange: Exchange, fields: Fields) -> Row:
    order = margin_order_asked(exchange, fields)
    instrument = exchange.instruments[order.instrument]
    priced = NewOrder(
        instrument=order.instrument, transaction=order.transaction, order_type=OrderType.LIMIT, product=order.product,
        quantity=order.quantity, price_paise=fields.paise("average_price") or order.price_paise,
    )  # fmt: skip
    return {
        "transaction_type": str(order.transaction), "tradingsymbol": instrument.symbol,
        "exchange": exchange_of(instrument.key), "variety": fields.text("variety", "regular"),
        "product": PRODUCT_WORDS[order.product], "order_type": str(order.order_type), "quantity": order.quantity,
        "price": rupees(priced.price_paise), "charges": _charge_row(_charges(exchange, priced)),
    }  # fmt: skip
