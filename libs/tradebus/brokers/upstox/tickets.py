"""Orders and changes as fields of the SDK's request models, checked before anything leaves."""

from dataclasses import dataclass, replace
from typing import Any

from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox.words import PRODUCTS
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import paise_to_rupees
from tradebus.trading.orders import OrderModification, OrderRequest

AUTO_PROTECTION = -1.0
DAY = "DAY"
_TAG_CHARACTERS_MAX = 40
_PROTECTION_MAX_PCT = 25.0
_PROTECTED = (OrderType.MARKET, OrderType.SL_M)
_PRICED = (OrderType.LIMIT, OrderType.SL)
_TRIGGERED = (OrderType.SL, OrderType.SL_M)


@dataclass(frozen=True, slots=True)
class Placed:
    """What a modification has to say again of an order. Prices in paise, None where the type has none."""

    order_type: OrderType
    price_paise: int | None
    trigger_paise: int | None
    protection_pct: float | None = None
    validity: str = DAY
    disclosed_quantity: int = 0

    @classmethod
    def of(cls, request: OrderRequest) -> "Placed":
        return cls(request.order_type, request.price_paise, request.trigger_paise, request.market_protection_pct)

    def changed(self, change: OrderModification) -> "Placed":
        """What the change does not name stays; a stop-limit's price keeps its distance to the trigger."""
        trigger = self.trigger_paise if change.trigger_paise is None else change.trigger_paise
        price = self.price_paise if change.price_paise is None else change.price_paise
        moves = self.order_type is OrderType.SL and change.price_paise is None
        if moves and price is not None and trigger is not None and self.trigger_paise is not None:
            price += trigger - self.trigger_paise
        protection_pct = self.protection_pct if change.market_protection_pct is None else change.market_protection_pct
        return replace(
            self, order_type=change.order_type or self.order_type, price_paise=price, trigger_paise=trigger,
            protection_pct=protection_pct,
        )  # fmt: skip


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
        "quantity": request.quantity, "product": PRODUCTS[request.product], "validity": DAY, "tag": request.tag,
        "slice": False, "instrument_token": listing.token, "order_type": request.order_type.value,
        "transaction_type": request.transaction.value, "disclosed_quantity": 0, "is_amo": False,
    }  # fmt: skip
    return ticket | _prices(request.order_type, request.price_paise, request.trigger_paise) | protection(
        request.order_type, request.market_protection_pct
    )  # fmt: skip


def change_ticket(order_id: str, quantity: int, placed: Placed) -> dict[str, Any]:
    """Fields of ModifyOrderRequest, which says the whole order again: `placed` as it shall be. Raises InvalidInput."""
    if quantity <= 0:
        raise InvalidInput(f"quantity: {quantity} is not above 0")
    ticket = {
        "order_id": order_id, "quantity": quantity, "validity": placed.validity,
        "order_type": placed.order_type.value, "disclosed_quantity": placed.disclosed_quantity,
    }  # fmt: skip
    prices = _prices(placed.order_type, placed.price_paise, placed.trigger_paise)
    return ticket | prices | protection(placed.order_type, placed.protection_pct)


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
