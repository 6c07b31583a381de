"""The HTTP of /super/orders."""

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, named_instrument
from services.sandbox.faces.dhan.fields import rupees
from services.sandbox.faces.dhan.order_requests import changed_order, new_order
from services.sandbox.faces.dhan.order_rows import Row, order_row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.super_orders import ENTRY, LEG_NAME, STOP_LOSS, TARGET, SuperOrder, SuperOrders
from services.sandbox.faces.dhan.watching import QuoteWatcher
from services.sandbox.faces.dhan.words import TRIGGER_STATUS
from services.sandbox.ports import StandingTrigger
from tradebus.contracts.orders import Transaction

router = APIRouter()
_LEGS = {each: each for each in (ENTRY, TARGET, STOP_LOSS)}


def _state(request: Request) -> SuperOrders:
    state: SuperOrders = request.app.state.super_orders
    return state


@router.post("/super/orders")
async def place(request: Request, caller: AuthorisedCaller, body: Body) -> Row:
    entry = new_order(body, named_instrument(caller.exchange, body))
    held, watcher = _state(request), request.app.state.watcher
    order = held.place(
        caller.account, entry, target=body.paise("targetPrice"), stop=body.paise("stopLossPrice"),
        trail=body.paise("trailingJump"),
    )  # fmt: skip
    assert isinstance(watcher, QuoteWatcher)
    watcher.add(f"super order {order.order_id}", lambda: held.look(order.order_id))
    return _answer(caller, held, held.get(caller.account, order.order_id))


@router.put("/super/orders/{order_id}")
async def modify(request: Request, caller: AuthorisedCaller, order_id: str, body: Body) -> Row:
    state = _state(request)
    held, leg = state.get(caller.account, order_id), body.word("legName", _LEGS)
    if leg == ENTRY:
        state.change_entry(
            held, changed_order(body), target=body.paise("targetPrice") or held.target_paise,
            stop=body.paise("stopLossPrice") or held.stop_paise, trail=body.paise("trailingJump"),
        )  # fmt: skip
    elif leg == TARGET:
        state.change_leg(held, target=_needed(body.paise("targetPrice"), "targetPrice"))
    else:
        stop = _needed(body.paise("stopLossPrice"), "stopLossPrice")
        state.change_leg(held, stop=stop, trail=body.paise("trailingJump"))
    return _answer(caller, state, held)


@router.delete("/super/orders/{order_id}/{leg}", status_code=202)
async def cancel(request: Request, caller: AuthorisedCaller, order_id: str, leg: str) -> Row:
    state = _state(request)
    if leg not in _LEGS:
        raise DhanProblem("DH-905", f"order leg {leg[:20]!r} is none of {', '.join(_LEGS)}")
    held = state.get(caller.account, order_id)
    state.cancel(held, leg)
    return {"orderId": order_id, "orderStatus": "CANCELLED"}


@router.get("/super/orders")
async def book(request: Request, caller: AuthorisedCaller) -> list[Row]:
    state = _state(request)
    return [_row(caller, state, held) for held in state.of(caller.account)]


def _needed(paise: int, name: str) -> int:
    if paise == 0:
        raise DhanProblem("DH-905", f"{name} must be more than 0")
    return paise


def _answer(caller: Caller, state: SuperOrders, held: SuperOrder) -> Row:
    return {"orderId": held.entry_id, "orderStatus": state.status(held)}


def _row(caller: Caller, state: SuperOrders, held: SuperOrder) -> Row:
    order = caller.exchange.order(caller.account, held.entry_id)
    instrument = caller.exchange.instruments[order.request.instrument]
    return order_row(order, instrument) | {
        "orderStatus": state.status(held),
        "legName": ENTRY,
        "ltp": rupees(int(caller.exchange.quotes["price_paise"][instrument.index])),
        "legDetails": [
            _leg_row(state, held, STOP_LOSS, held.stop_paise, order.filled_quantity),
            _leg_row(state, held, TARGET, held.target_paise, order.filled_quantity),
        ],
    }


def _leg_row(state: SuperOrders, held: SuperOrder, name: str, paise: int, filled: int) -> Row:
    word = _leg_word(held, state.trigger(held), name, paise)
    exit_side = Transaction.SELL if held.buys else Transaction.BUY
    done = filled if word == "TRIGGERED" else 0
    return {
        "orderId": held.entry_id,
        "legName": name,
        "transactionType": exit_side.value,
        "totalQuatity": held.entry.quantity,  # as Dhan spells it
        "remainingQuantity": held.entry.quantity - done,
        "triggeredQuantity": done,
        "price": rupees(paise),
        "orderStatus": word,
        "trailingJump": rupees(held.trail_paise) if name == STOP_LOSS else 0.0,
    }


def _leg_word(held: SuperOrder, trigger: StandingTrigger | None, name: str, paise: int) -> str:
    """INACTIVE until the entry is filled; the leg that did not leave is cancelled by the one that did."""
    if paise == 0:
        return "CANCELLED"
    if held.left is not None:
        return "TRIGGERED" if held.left == LEG_NAME[name] else "CANCELLED"
    if trigger is None:
        return "INACTIVE"
    if trigger.triggered_leg is not None:
        return "TRIGGERED" if trigger.legs[trigger.triggered_leg].name == LEG_NAME[name] else "CANCELLED"
    return TRIGGER_STATUS[trigger.status]
