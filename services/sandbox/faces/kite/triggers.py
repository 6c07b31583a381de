"""Standing triggers (GTT): single and two-leg."""

import json
from collections.abc import Sequence
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.asking import instrument_asked, product_asked
from services.sandbox.faces.kite.fields import Fields, flat, form_of, listed
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import ErrorType, KiteError, bad_input, success
from services.sandbox.faces.kite.rows import Row, instrument_fields
from services.sandbox.faces.kite.words import ORDER_TYPES, PRODUCT_WORDS, TRANSACTIONS, rupees, stamp
from services.sandbox.ports import (
    BrokerName,
    Exchange,
    NewOrder,
    SandboxInstrument,
    StandingTrigger,
    TriggerLeg,
    TriggerStatus,
)
from tradebus.contracts.orders import OrderType
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import rupees_to_paise
from tradebus.kernel.time import NANOSECONDS_PER_DAY

_LEGS = {"single": 1, "two-leg": 2}
_LIFE = timedelta(days=365)
_STATUS_WORDS = {
    TriggerStatus.ACTIVE: "active",
    TriggerStatus.TRIGGERED: "triggered",
    TriggerStatus.CANCELLED: "deleted",
    TriggerStatus.EXPIRED: "expired",
    TriggerStatus.REJECTED: "rejected",
}


def trigger_routes(exchange: Exchange, authorise: Authorise) -> APIRouter:
    router = APIRouter()

    @router.get("/gtt/triggers")
    async def book(request: Request) -> Response:
        account = authorise(request).account
        return success([trigger_row(exchange, trigger) for trigger in _kites(exchange, account)])

    @router.post("/gtt/triggers")
    async def place(request: Request) -> Response:
        account, fields = authorise(request).account, await form_of(request)
        instrument, legs = _asked(exchange, fields)
        made = exchange.place_trigger(account, BrokerName.KITE, instrument.index, legs)
        return success({"trigger_id": int(made.trigger_id)})

    @router.get("/gtt/triggers/{trigger_id}")
    async def one(trigger_id: str, request: Request) -> Response:
        return success(trigger_row(exchange, _found(exchange, authorise(request).account, trigger_id)))

    @router.put("/gtt/triggers/{trigger_id}")
    async def modify(trigger_id: str, request: Request) -> Response:
        account, fields = authorise(request).account, await form_of(request)
        found = _found(exchange, account, trigger_id)
        instrument, legs = _asked(exchange, fields)
        if instrument.index != found.instrument:
            raise bad_input("Invalid `condition`: a trigger keeps its instrument")
        return success({"trigger_id": int(exchange.modify_trigger(account, found.trigger_id, legs).trigger_id)})

    @router.delete("/gtt/triggers/{trigger_id}")
    async def delete(trigger_id: str, request: Request) -> Response:
        account = authorise(request).account
        found = _found(exchange, account, trigger_id)
        return success({"trigger_id": int(exchange.cancel_trigger(account, found.trigger_id).trigger_id)})

    return router


def _kites(exchange: Exchange, account: str) -> list[StandingTrigger]:
    return [trigger for trigger in exchange.triggers(account) if trigger.source is BrokerName.KITE]


def _found(exchange: Exchange, account: str, trigger_id: str) -> StandingTrigger:
    for trigger in _kites(exchange, account):
        if trigger.trigger_id == trigger_id:
            return trigger
    raise KiteError(ErrorType.GENERAL, f"There is no trigger {trigger_id[:20]!r}", code=404)


def _asked(exchange: Exchange, fields: Fields) -> tuple[SandboxInstrument, list[TriggerLeg]]:
    """The legs, in the request's order. Raises KiteError naming the field."""
    count = fields.word("type", _LEGS)
    condition = _condition(fields.text("condition"))
    instrument = instrument_asked(exchange, flat(condition, where=" in condition"))
    triggers_paise = _trigger_values(condition.get("trigger_values"), count)
    orders = listed(fields.text("orders"), name="orders")
    if len(orders) != count:
        raise bad_input(f"Invalid `orders`: {len(orders)} orders, {count} needed for this type")
    return instrument, [
        TriggerLeg(trigger_paise, _leg_order(order, instrument))
        for trigger_paise, order in zip(triggers_paise, orders, strict=True)
    ]


def _condition(text: str) -> dict[str, object]:
    try:
        condition = json.loads(text)
    except (ValueError, RecursionError):
        condition = None
    if not isinstance(condition, dict):
        raise bad_input("Invalid `condition`: a JSON object is needed")
    return condition


def _trigger_values(values: object, count: int) -> list[int]:
    if not isinstance(values, list) or len(values) != count:
        raise bad_input(f"Invalid `trigger_values`: a list of {count} is needed for this type")
    try:
        paise = [rupees_to_paise(str(value), name="`trigger_values`") for value in values]
    except InvalidInput as error:
        raise bad_input(f"Invalid {error}") from None
    if min(paise) <= 0:
        raise bad_input("Invalid `trigger_values`: above zero only")
    return paise


def _leg_order(fields: Fields, instrument: SandboxInstrument) -> NewOrder:
    order_type = fields.word("order_type", ORDER_TYPES)
    if order_type is not OrderType.LIMIT:
        raise bad_input("Invalid `order_type`: a trigger places LIMIT orders")
    return NewOrder(
        instrument=instrument.index, transaction=fields.word("transaction_type", TRANSACTIONS), order_type=order_type,
        product=product_asked(fields, instrument), quantity=fields.integer("quantity", least=1),
        price_paise=fields.paise("price", None), source=BrokerName.KITE,
    )  # fmt: skip


def trigger_row(exchange: Exchange, trigger: StandingTrigger) -> Row:
    instrument = exchange.instruments[trigger.instrument]
    return {
        "id": int(trigger.trigger_id), "user_id": trigger.account, "parent_trigger": None,
        "type": "single" if len(trigger.legs) == 1 else "two-leg", "created_at": stamp(trigger.created_ns),
        "updated_at": stamp(trigger.updated_ns),
        "expires_at": stamp(trigger.created_ns + _LIFE.days * NANOSECONDS_PER_DAY),
        "status": _STATUS_WORDS[trigger.status],
        "condition": {
            **instrument_fields(instrument), "last_price": rupees(trigger.reference_paise),
            "trigger_values": [rupees(leg.trigger_paise) for leg in trigger.legs],
        },
        "orders": _leg_rows(exchange, trigger), "meta": {},
    }  # fmt: skip


def _leg_rows(exchange: Exchange, trigger: StandingTrigger) -> Sequence[Row]:
    instrument = exchange.instruments[trigger.instrument]
    rows: list[Row] = []
    for number, leg in enumerate(trigger.legs):
        order = {
            "exchange": instrument_fields(instrument)["exchange"], "tradingsymbol": instrument.symbol,
            "product": PRODUCT_WORDS[leg.order.product], "order_type": str(leg.order.order_type),
            "transaction_type": str(leg.order.transaction), "quantity": leg.order.quantity,
            "price": rupees(leg.order.price_paise),
        }  # fmt: skip
        fired = trigger.triggered_leg == number
        rows.append({**order, "result": _result(trigger, leg, order) if fired else None})
    return rows


def _result(trigger: StandingTrigger, leg: TriggerLeg, order: Row) -> Row:
    placed = trigger.order_id is not None
    return {
        "account_id": trigger.account, **order, "validity": "DAY", "meta": json.dumps({"gtt": int(trigger.trigger_id)}),
        "timestamp": stamp(trigger.updated_ns), "triggered_at": rupees(leg.trigger_paise),
        "order_result": {
            "status": "success" if placed else "failed", "order_id": trigger.order_id or "",
            "rejection_reason": "" if placed else "the order was refused",
        },
    }  # fmt: skip
