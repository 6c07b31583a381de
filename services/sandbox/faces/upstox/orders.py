"""Placing, changing and cancelling orders, one at a time and in lots (v3 and v2)."""

from collections.abc import Sequence
from dataclasses import replace

from services.sandbox.faces.upstox import fields
from services.sandbox.faces.upstox.books import order_id_of, ordered_instrument
from services.sandbox.faces.upstox.errors import UpstoxError, invalid, of_refusal
from services.sandbox.faces.upstox.face import Access, Caller, Route, answer, success
from services.sandbox.faces.upstox.fields import Fields
from services.sandbox.faces.upstox.order_fields import change_of, new_order
from services.sandbox.faces.upstox.words import segment_of
from services.sandbox.ports import FINAL, BrokerName, NewOrder, Refusal, SandboxOrder, Why
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import monotonic_ns

_SLICES_MAX = 25
_MULTI_MAX = 10


async def place_v3(call: Caller) -> object:
    """One order, or with `slice` as many as the freeze quantity asks for. Answers with all their ids."""
    started_ns = monotonic_ns()
    asked = await fields.body(call.request)
    placed, refused = _place_slices(call, new_order(call.face.exchange, asked), sliced=asked.truth("slice"))
    if refused is not None and not placed:
        raise refused
    body = success({"order_ids": [order.order_id for order in placed]}, metadata=_latency(started_ns))
    if refused is None:
        return body
    return answer(body | {"status": "partial_success", "errors": [refused.error]}, 207)


async def place_v2(call: Caller) -> object:
    asked = await fields.body(call.request)
    order = new_order(call.face.exchange, asked)
    placed = call.face.exchange.place(call.account, replace(order, after_market=asked.truth("is_amo")))
    return success({"order_id": placed.order_id})


async def place_multi(call: Caller) -> object:
    """Up to ten orders, told apart by `correlation_id`. One that cannot be placed stops none of the others."""
    items = await fields.json_body(call.request)
    if not isinstance(items, list) or not 1 <= len(items) <= _MULTI_MAX:
        raise invalid("body", None, f"between 1 and {_MULTI_MAX} orders, as a list", code="UDAPI1107")
    data: list[object] = []
    errors: list[dict[str, object]] = []
    for item in items:
        correlation_id: str | None = None
        try:
            asked = fields.of_object(item)
            correlation_id = asked.text("correlation_id")
            placed, refused = _place_slices(call, new_order(call.face.exchange, asked), sliced=asked.truth("slice"))
            data += [{"correlation_id": correlation_id, "order_id": order.order_id} for order in placed]
        except UpstoxError as error:
            refused = error
        if refused is not None:
            errors.append(refused.error | {"correlation_id": correlation_id})
    summary = {"total": len(items), "payload_error": 0, "success": len(items) - len(errors), "error": len(errors)}
    return _in_lots(data, errors, summary)


def _place_slices(call: Caller, order: NewOrder, *, sliced: bool) -> tuple[list[SandboxOrder], UpstoxError | None]:
    """The orders in the book, and what stopped the rest."""
    instrument = call.face.exchange.instruments[order.instrument]
    most = instrument.freeze_quantity // instrument.lot_size * instrument.lot_size
    quantities = [order.quantity]
    if sliced and 0 < most < order.quantity:
        whole, rest = divmod(order.quantity, most)
        quantities = [most] * whole + [rest] * bool(rest)
    if len(quantities) > _SLICES_MAX:
        raise invalid("quantity", order.quantity, f"more than {_SLICES_MAX} slices of {most} each", code="UDAPI1118")
    placed: list[SandboxOrder] = []
    for quantity in quantities:
        try:
            placed.append(_place(call, replace(order, quantity=quantity)))
        except Refusal as refusal:
            return placed, of_refusal(refusal)
    return placed, None


def _place(call: Caller, order: NewOrder) -> SandboxOrder:
    """Out of hours an order becomes an after-market order by itself, whatever `is_amo` says."""
    try:
        return call.face.exchange.place(call.account, order)
    except Refusal as refusal:
        if refusal.why is not Why.MARKET_CLOSED:
            raise
        return call.face.exchange.place(call.account, replace(order, after_market=True))


async def modify_v3(call: Caller) -> object:
    started_ns = monotonic_ns()
    return success({"order_id": await _modify(call)}, metadata=_latency(started_ns))


async def modify_v2(call: Caller) -> object:
    return success({"order_id": await _modify(call)})


async def _modify(call: Caller) -> str:
    asked = await fields.body(call.request)
    order_id = asked.text("order_id", code="UDAPI1003")
    call.face.exchange.order(call.account, order_id)
    return call.face.exchange.modify(call.account, order_id, change_of(asked)).order_id


async def cancel_v3(call: Caller) -> object:
    started_ns = monotonic_ns()
    return success({"order_id": _cancel(call, order_id_of(call))}, metadata=_latency(started_ns))


async def cancel_v2(call: Caller) -> object:
    return success({"order_id": _cancel(call, order_id_of(call))})


def _cancel(call: Caller, order_id: str) -> str:
    try:
        return call.face.exchange.cancel(call.account, order_id).order_id
    except Refusal as refusal:
        raise of_refusal(refusal, cancelling=True) from None


async def cancel_multi(call: Caller) -> object:
    """Everything that is open, of one tag or segment where asked."""
    asked = fields.query(call.request)
    orders = [
        order
        for order in call.face.exchange.orders(call.account)
        if order.status not in FINAL and _selected(call, order, asked)
    ]
    if not orders:
        raise UpstoxError(400, "UDAPI1109", "No open orders found to cancel")
    done: list[str] = []
    errors: list[dict[str, object]] = []
    for order in orders:
        try:
            done.append(_cancel(call, order.order_id))
        except UpstoxError as error:
            errors.append(error.error | {"order_id": order.order_id, "instrument_key": None})
    return _orders_in_lots(done, errors)


async def exit_positions(call: Caller) -> object:
    """Closes every position at the market, of one segment or of instruments traded with one tag where asked."""
    exchange, asked = call.face.exchange, fields.query(call.request)
    tag, segment = asked.optional_text("tag"), asked.optional_text("segment")
    tagged = {order.request.instrument for order in exchange.orders(call.account) if order.request.tag == tag}
    done: list[str] = []
    errors: list[dict[str, object]] = []
    for position in exchange.positions(call.account):
        instrument = exchange.instruments[position.instrument]
        wrong = (segment and segment_of(instrument) != segment) or (tag and position.instrument not in tagged)
        if position.quantity == 0 or wrong:
            continue
        order = NewOrder(
            instrument=position.instrument, order_type=OrderType.MARKET, product=position.product,
            transaction=Transaction.SELL if position.quantity > 0 else Transaction.BUY,
            quantity=abs(position.quantity), market_protection_pct=-1.0, tag=tag, source=BrokerName.UPSTOX,
        )  # fmt: skip
        placed, refused = _place_slices(call, order, sliced=True)
        done += [item.order_id for item in placed]
        if refused is not None:
            errors.append(refused.error | {"instrument_key": instrument.upstox_key, "order_id": None})
    if not done and not errors:
        raise UpstoxError(400, "UDAPI1111", "No open positions found to exit")
    return _orders_in_lots(done, errors)


def _selected(call: Caller, order: SandboxOrder, asked: Fields) -> bool:
    tag, segment = asked.optional_text("tag"), asked.optional_text("segment")
    return (not tag or order.request.tag == tag) and (
        not segment or segment_of(ordered_instrument(call, order)) == segment
    )  # fmt: skip


def _orders_in_lots(done: Sequence[str], errors: list[dict[str, object]]) -> object:
    summary = {"total": len(done) + len(errors), "success": len(done), "error": len(errors)}
    return _in_lots({"order_ids": list(done)}, errors, summary)


def _in_lots(data: object, errors: list[dict[str, object]], summary: dict[str, int]) -> object:
    """Success, partial success (207) or an error (400), with the count of each."""
    if not errors:
        return success(data, errors=None, summary=summary)
    some = summary["success"] > 0
    body = {
        "status": "partial_success" if some else "error", "data": data if some else None, "errors": errors,
        "summary": summary,
    }  # fmt: skip
    return answer(body, 207 if some else 400)


def _latency(started_ns: int) -> dict[str, int]:
    """How long the request took, in milliseconds."""
    return {"latency": (monotonic_ns() - started_ns) // 1_000_000 + 1}


ROUTES: tuple[Route, ...] = (
    ("POST", "/v3/order/place", Access.TOKEN, place_v3),
    ("PUT", "/v3/order/modify", Access.TOKEN, modify_v3),
    ("DELETE", "/v3/order/cancel", Access.TOKEN, cancel_v3),
    ("POST", "/v2/order/place", Access.TOKEN, place_v2),
    ("PUT", "/v2/order/modify", Access.TOKEN, modify_v2),
    ("DELETE", "/v2/order/cancel", Access.TOKEN, cancel_v2),
    ("POST", "/v2/order/multi/place", Access.TOKEN, place_multi),
    ("DELETE", "/v2/order/multi/cancel", Access.TOKEN, cancel_multi),
    ("POST", "/v2/order/positions/exit", Access.TOKEN, exit_positions),
)
