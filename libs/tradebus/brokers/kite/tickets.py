"""Orders and changes as arguments of the SDK, checked before anything leaves. Kite's rules: BROKERS 5."""

import re
from decimal import Decimal
from typing import Any

from tradebus.brokers.account import BasketOrder
from tradebus.brokers.kite.reference_words import TRADED_SEGMENTS
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import paise_to_rupees
from tradebus.trading.orders import OrderModification, OrderRequest, Product

AUTO_PROTECTION = -1
_TAG = re.compile(r"[A-Za-z0-9]{1,20}")
_PRODUCTS = {Product.INTRADAY: "MIS", Product.CARRY: "NRML", Product.DELIVERY: "CNC"}
_PROTECTED = (OrderType.MARKET, OrderType.SL_M)
_PRICED = (OrderType.LIMIT, OrderType.SL)
_TRIGGERED = (OrderType.SL, OrderType.SL_M)


def order_ticket(request: OrderRequest, listing: ListedInstrument, *, variety: str) -> dict[str, Any]:
    """Arguments of `place_order`. Raises InvalidInput naming the field that Kite would refuse, or misread."""
    if listing.key.segment not in TRADED_SEGMENTS:
        raise InvalidInput(f"instrument: {listing.key} cannot be traded")
    if not _TAG.fullmatch(request.tag):
        raise InvalidInput(f"tag: {request.tag[:30]!r} is not 1 to 20 letters and digits")
    if request.quantity <= 0:
        raise InvalidInput(f"quantity: {request.quantity} is not above 0")
    ticket: dict[str, Any] = {
        "variety": variety, "exchange": listing.broker_segment, "tradingsymbol": listing.symbol,
        "transaction_type": request.transaction.value, "quantity": request.quantity,
        "product": _PRODUCTS[request.product], "order_type": request.order_type.value, "validity": "DAY",
        "tag": request.tag,
    }  # fmt: skip
    if request.order_type in _PRICED:
        ticket["price"] = _rupees(request.price_paise, "price")
    if request.order_type in _TRIGGERED:
        ticket["trigger_price"] = _rupees(request.trigger_paise, "trigger_price")
    if request.order_type in _PROTECTED:
        ticket["market_protection"] = _protection(request.market_protection_pct)
    return ticket


def margin_ticket(order: BasketOrder) -> dict[str, Any]:
    """An order of a margin calculation."""
    return {
        "exchange": order.listing.broker_segment, "tradingsymbol": order.listing.symbol, "variety": "regular",
        "transaction_type": order.transaction.value, "product": _PRODUCTS[order.product], "order_type": "LIMIT",
        "quantity": order.quantity, "price": float(_rupees(order.price_paise, "price")), "trigger_price": 0,
    }  # fmt: skip


def leg_tickets(request: OrderRequest, listing: ListedInstrument) -> dict[str, Any]:
    """Arguments of `place_gtt`: the stop's leg and the target's, the lower first. Raises InvalidInput."""
    if listing.key.segment not in TRADED_SEGMENTS:
        raise InvalidInput(f"instrument: {listing.key} cannot be traded")
    if request.quantity <= 0:
        raise InvalidInput(f"quantity: {request.quantity} is not above 0")
    target = _rupees(request.target_paise, "target")
    legs = sorted(
        [(_rupees(request.trigger_paise, "trigger"), _rupees(request.price_paise, "price")), (target, target)]
    )
    last = _rupees(request.market_paise, "last price")
    if not legs[0][0] < last < legs[1][0]:
        raise InvalidInput(f"last price: {last} is not between the legs at {legs[0][0]} and {legs[1][0]}")
    return {
        "trigger_type": "two-leg", "tradingsymbol": listing.symbol, "exchange": listing.broker_segment,
        "trigger_values": [float(trigger) for trigger, _ in legs], "last_price": float(last),
        "orders": [
            {
                "transaction_type": request.transaction.value, "quantity": request.quantity, "order_type": "LIMIT",
                "product": _PRODUCTS[request.product], "price": float(price),
            }
            for _, price in legs
        ],
    }  # fmt: skip


def change_ticket(change: OrderModification) -> dict[str, Any]:
    """Arguments of `modify_order`. A trigger without a price is a stop at the market, which must stay protected."""
    if change.quantity <= 0:
        raise InvalidInput(f"quantity: {change.quantity} is not above 0")
    ticket: dict[str, Any] = {"quantity": change.quantity}
    if change.order_type is not None:
        ticket["order_type"] = change.order_type.value
    if change.price_paise is not None:
        ticket["price"] = _rupees(change.price_paise, "price")
    if change.trigger_paise is not None:
        ticket["trigger_price"] = _rupees(change.trigger_paise, "trigger_price")
        if change.price_paise is None:
            ticket["market_protection"] = _protection(change.market_protection_pct)
    if change.order_type is OrderType.MARKET:
        ticket["market_protection"] = _protection(change.market_protection_pct)
    return ticket


def _rupees(paise: int | None, name: str) -> Decimal:
    if paise is None or paise <= 0:
        raise InvalidInput(f"{name}: {paise} paise is not above 0")
    return paise_to_rupees(paise)


def _protection(percent: float | None) -> float:
    if percent is None or percent == AUTO_PROTECTION:
        return AUTO_PROTECTION
    if not 0 < percent <= 100:
        raise InvalidInput(f"market_protection: {percent} is neither -1 nor above 0 and at most 100 percent")
    return percent
