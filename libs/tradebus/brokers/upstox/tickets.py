"""Orders and changes as fields of the SDK's request models, checked before anything leaves."""

from typing import Any

from tradebus.brokers.ports import Change, OrderRequest
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox.words import PRODUCTS
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import paise_to_rupees

AUTO_PROTECTION = -1.0
_TAG_CHARACTERS_MAX = 40
_PROTECTION_MAX_PCT = 25.0
_PROTECTED = (OrderType.MARKET, OrderType.SL_M)
_PRICED = (OrderType.LIMIT, OrderType.SL)
_TRIGGERED = (OrderType.SL, OrderType.SL_M)


def order_ticket(request: OrderRequest, listing: ListedInstrument) -> dict[str, Any]:
    """Fields of PlaceOrderV3Request. Raises InvalidInput naming the field that Upstox would refuse, or misread.

    Never sliced: one order must stay one order id; whoever trades above the freeze quantity sends several orders.
    """
    if listing.key.segment is Segment.INDEX:
        raise InvalidInput(f"instrument: {listing.key} cannot be traded")
    if not request.tag.isascii() or not 0 < len(request.tag) <= _TAG_CHARACTERS_MAX:
        raise InvalidInput(f"tag: {request.tag[:50]!r} is not 1 to {_TAG_CHARACTERS_MAX} plain characters")
    if request.quantity <= 0:
        raise InvalidInput(f"quantity: {request.quantity} is not above 0")
    ticket: dict[str, Any] = {
        "quantity": request.quantity, "product": PRODUCTS[request.product], "validity": "DAY", "tag": request.tag,
        "slice": False, "instrument_token": listing.token, "order_type": request.order_type.value,
        "transaction_type": request.transaction.value, "disclosed_quantity": 0, "is_amo": False,
    }  # fmt: skip
    return ticket | _prices(request.order_type, request.price_paise, request.trigger_paise) | protection(
        request.order_type, request.market_protection_pct
    )  # fmt: skip


def change_ticket(
    order_id: str, change: Change, order_type: OrderType, *, validity: str, disclosed_quantity: int,
    protection_pct: float | None,
) -> dict[str, Any]:  # fmt: skip
    """Fields of ModifyOrderRequest, which says the whole order again. Raises InvalidInput."""
    if change.quantity <= 0:
        raise InvalidInput(f"quantity: {change.quantity} is not above 0")
    ticket = {
        "order_id": order_id, "quantity": change.quantity, "validity": validity, "order_type": order_type.value,
        "disclosed_quantity": disclosed_quantity,
    }  # fmt: skip
    return ticket | _prices(order_type, change.price_paise, change.trigger_paise) | protection(
        order_type, protection_pct
    )  # fmt: skip


def protection(order_type: OrderType, percent: float | None) -> dict[str, float]:
    """MARKET and SL-M leave with market protection always: as asked for, or Upstox's own choice (-1)."""
    if order_type not in _PROTECTED:
        return {}
    if percent is None or percent == AUTO_PROTECTION:
        return {"market_protection": AUTO_PROTECTION}
    if not 0 < percent <= _PROTECTION_MAX_PCT:
        raise InvalidInput(
            f"market_protection: {percent} is neither -1 nor above 0 and at most {_PROTECTION_MAX_PCT:g} percent"
        )
    return {"market_protection": percent}


def _prices(order_type: OrderType, price_paise: int | None, trigger_paise: int | None) -> dict[str, float]:
    price = _rupees(price_paise, "price") if order_type in _PRICED else 0.0
    trigger = _rupees(trigger_paise, "trigger_price") if order_type in _TRIGGERED else 0.0
    return {"price": price, "trigger_price": trigger}


def _rupees(paise: int | None, name: str) -> float:
    if paise is None or paise <= 0:
        raise InvalidInput(f"{name}: {paise} paise is not above 0")
    return float(paise_to_rupees(paise))
