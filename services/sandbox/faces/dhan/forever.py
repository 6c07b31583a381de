"""/forever/orders: one trigger, or two of which the first that is reached cancels the other."""

from dataclasses import replace

from fastapi import APIRouter

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, named_instrument
from services.sandbox.faces.dhan.fields import Fields, ist_text, rupees
from services.sandbox.faces.dhan.order_requests import TRANSACTIONS, VALIDITIES, positive, product_of, protected
from services.sandbox.faces.dhan.order_rows import Row, derivative_fields
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import TRIGGER_STATUS, WORD_BY_PRODUCT, WORD_BY_SEGMENT
from services.sandbox.ports import BrokerName, NewOrder, SandboxInstrument, StandingTrigger, TriggerLeg
from tradebus.contracts.orders import OrderType

router = APIRouter()
FLAGS = {"SINGLE": 1, "OCO": 2}
ENTRY, TARGET = "ENTRY_LEG", "TARGET_LEG"
_TYPES = {"LIMIT": OrderType.LIMIT, "MARKET": OrderType.MARKET}
# Legs with these names are standing orders of /super/orders; the forever book leaves them out.
SUPER_LEGS = frozenset({"SUPER_TARGET", "SUPER_STOP_LOSS"})


@router.post("/forever/orders")
async def place(caller: AuthorisedCaller, body: Body) -> Row:
    instrument = named_instrument(caller.exchange, body)
    base = NewOrder(
        instrument=instrument.index, transaction=body.word("transactionType", TRANSACTIONS),
        order_type=body.word("orderType", _TYPES), product=product_of(body, instrument),
        quantity=positive(body, "quantity"), validity=body.word("validity", VALIDITIES, "DAY"),
        disclosed_quantity=body.whole("disclosedQuantity", 0), tag=body.correlation_id(), source=BrokerName.DHAN,
    )  # fmt: skip
    legs = [_leg(base, body, ENTRY, "")]
    if body.word("orderFlag", FLAGS) == 2:
        legs.append(_leg(replace(base, quantity=positive(body, "quantity1")), body, TARGET, "1"))
    return _answer(caller.exchange.place_trigger(caller.account, BrokerName.DHAN, instrument.index, legs))


@router.put("/forever/orders/{order_id}")
async def modify(caller: AuthorisedCaller, order_id: str, body: Body) -> Row:
    """One leg; the other stays as it is."""
    trigger = _own(caller, order_id)
    name = body.text("legName", ENTRY)
    if name not in [leg.name for leg in trigger.legs]:
        raise DhanProblem("DH-905", f"legName {name[:20]!r} is no leg of this order")
    body.word("orderFlag", FLAGS)
    legs = [_modified(leg, body) if leg.name == name else leg for leg in trigger.legs]
    return _answer(caller.exchange.modify_trigger(caller.account, order_id, legs))


@router.delete("/forever/orders/{order_id}", status_code=202)
async def cancel(caller: AuthorisedCaller, order_id: str) -> Row:
    _own(caller, order_id)
    return _answer(caller.exchange.cancel_trigger(caller.account, order_id))


@router.get("/forever/orders")
@router.get("/forever/all")
async def book(caller: AuthorisedCaller) -> list[Row]:
    """One row for each leg."""
    return [
        _row(trigger, leg, caller.exchange.instruments[trigger.instrument])
        for trigger in caller.exchange.triggers(caller.account)
        if is_forever(trigger)
        for leg in trigger.legs
    ]


def is_forever(trigger: StandingTrigger) -> bool:
    """Whether it is one of this page's and not a leg of a super order or another broker's GTT."""
    return trigger.source is BrokerName.DHAN and not any(leg.name in SUPER_LEGS for leg in trigger.legs)


def _own(caller: Caller, order_id: str) -> StandingTrigger:
    for trigger in caller.exchange.triggers(caller.account):
        if trigger.trigger_id == order_id and is_forever(trigger):
            return trigger
    raise DhanProblem("DH-906", f"no forever order {order_id[:30]!r}")


def _leg(base: NewOrder, body: Fields, name: str, suffix: str) -> TriggerLeg:
    trigger, price = body.paise(f"triggerPrice{suffix}"), body.paise(f"price{suffix}")
    if trigger == 0:
        raise DhanProblem("DH-905", f"triggerPrice{suffix} is required")
    if base.order_type is OrderType.LIMIT and price == 0:
        raise DhanProblem("DH-905", f"price{suffix} is required for this orderType")
    limit = price if base.order_type is OrderType.LIMIT else 0
    return TriggerLeg(trigger, protected(replace(base, price_paise=limit)), name)


def _modified(leg: TriggerLeg, body: Fields) -> TriggerLeg:
    order_type = body.word("orderType", _TYPES)
    limit = (body.paise("price") or leg.order.price_paise) if order_type is OrderType.LIMIT else 0
    if order_type is OrderType.LIMIT and limit == 0:
        raise DhanProblem("DH-905", "price is required for this orderType")
    order = replace(
        leg.order, order_type=order_type, quantity=body.whole("quantity", 0) or leg.order.quantity, price_paise=limit,
        validity=body.word("validity", VALIDITIES, "DAY"), disclosed_quantity=body.whole("disclosedQuantity", 0),
    )  # fmt: skip
    return TriggerLeg(body.paise("triggerPrice") or leg.trigger_paise, protected(order), leg.name)


def _answer(trigger: StandingTrigger) -> Row:
    return {"orderId": trigger.trigger_id, "orderStatus": TRIGGER_STATUS[trigger.status]}


def _row(trigger: StandingTrigger, leg: TriggerLeg, instrument: SandboxInstrument) -> Row:
    return {
        "dhanClientId": trigger.account,
        "orderId": trigger.trigger_id,
        "correlationId": leg.order.tag,
        "orderStatus": TRIGGER_STATUS[trigger.status],
        "transactionType": leg.order.transaction.value,
        "exchangeSegment": WORD_BY_SEGMENT[instrument.key.segment],
        "productType": WORD_BY_PRODUCT[leg.order.product],
        "orderType": "OCO" if len(trigger.legs) == 2 else "SINGLE",
        "tradingSymbol": instrument.dhan_symbol,
        "securityId": str(instrument.exchange_token),
        "quantity": leg.order.quantity,
        "price": rupees(leg.order.price_paise),
        "triggerPrice": rupees(leg.trigger_paise),
        "legName": leg.name,
        "createTime": ist_text(trigger.created_ns),
        "updateTime": ist_text(trigger.updated_ns),
        "exchangeTime": ist_text(trigger.updated_ns),
        **derivative_fields(instrument),
    }
