"""/orders and /trades."""

from collections.abc import Iterable

from fastapi import APIRouter, Request

from services.sandbox.faces.dhan.caller import AuthorisedCaller, Body, Caller, named_instrument
from services.sandbox.faces.dhan.catalogue import Catalogues
from services.sandbox.faces.dhan.fields import Fields
from services.sandbox.faces.dhan.order_requests import changed_order, new_order, slices
from services.sandbox.faces.dhan.order_rows import Row, history_row, order_row, trade_row
from services.sandbox.faces.dhan.problems import DhanProblem
from services.sandbox.faces.dhan.words import status_word
from services.sandbox.ports import Refusal, SandboxOrder
from tradebus.kernel.time import NANOSECONDS_PER_DAY

router = APIRouter()
_HISTORY_PAGE = 20


def placed(order: SandboxOrder) -> Row:
    """What an order call answers."""
    return {"orderId": order.order_id, "orderStatus": status_word(order)}


@router.post("/orders")
async def place(caller: AuthorisedCaller, body: Body) -> Row:
    order = new_order(body, named_instrument(caller.exchange, body))
    return placed(caller.exchange.place(caller.account, order))


@router.post("/orders/slicing")
async def place_sliced(caller: AuthorisedCaller, body: Body) -> list[Row]:
    """Over the freeze quantity in several orders. A slice that is refused ends it; those before it stand."""
    instrument = named_instrument(caller.exchange, body)
    answers: list[Row] = []
    for part in slices(new_order(body, instrument), instrument):
        try:
            answers.append(placed(caller.exchange.place(caller.account, part)))
        except Refusal:
            if not answers:
                raise
            break
    return answers


@router.put("/orders/{order_id}")
async def modify(caller: AuthorisedCaller, order_id: str, body: Body) -> Row:
    named = body.text("orderId", order_id)
    if named != order_id:
        raise DhanProblem("DH-905", "orderId in the body is not the one in the path")
    return placed(caller.exchange.modify(caller.account, order_id, changed_order(body)))


@router.delete("/orders/{order_id}", status_code=202)
async def cancel(caller: AuthorisedCaller, order_id: str) -> Row:
    return placed(caller.exchange.cancel(caller.account, order_id))


@router.get("/orders")
async def order_book(caller: AuthorisedCaller) -> list[Row]:
    return [_row(caller, order) for order in caller.exchange.orders(caller.account)]


@router.get("/orders/external/{correlation_id}")
async def order_by_correlation_id(caller: AuthorisedCaller, correlation_id: str) -> Row:
    """The newest order of the day with the client's own id."""
    for order in reversed(caller.exchange.orders(caller.account)):
        if order.asked.tag == correlation_id:
            return _row(caller, order)
    raise DhanProblem("DH-907", "no order has this correlationId")


@router.get("/orders/{order_id}")
async def order_by_id(caller: AuthorisedCaller, order_id: str) -> Row:
    return _row(caller, caller.exchange.order(caller.account, order_id))


@router.get("/trades")
@router.get("/trades/")
async def trade_book(caller: AuthorisedCaller) -> list[Row]:
    return _trades(caller, caller.exchange.orders(caller.account))


@router.get("/trades/{order_id}")
async def trades_of_order(caller: AuthorisedCaller, order_id: str) -> list[Row]:
    return _trades(caller, [caller.exchange.order(caller.account, order_id)])


@router.get("/trades/{first}/{last}/{page}")
async def trade_history(request: Request, caller: AuthorisedCaller, first: str, last: str, page: int) -> list[Row]:
    """Both dates inclusive. The sandbox remembers the trades of its day."""
    catalogues: Catalogues = request.app.state.catalogues
    span = Fields({"from-date": first, "to-date": last})
    from_ns, to_ns = span.moment_ns("from-date"), span.moment_ns("to-date", whole_day_after=True)
    if not from_ns < to_ns <= from_ns + 3 * 366 * NANOSECONDS_PER_DAY:
        raise DhanProblem("DH-905", "from-date must not be after to-date")
    rows = [
        history_row(order, trade, caller.exchange.instruments[order.request.instrument], catalogues())
        for order in caller.exchange.orders(caller.account)
        for trade in order.trades
        if from_ns <= trade.at_ns < to_ns
    ]
    return rows[page * _HISTORY_PAGE : (page + 1) * _HISTORY_PAGE] if page >= 0 else []


def _row(caller: Caller, order: SandboxOrder) -> Row:
    return order_row(order, caller.exchange.instruments[order.request.instrument])


def _trades(caller: Caller, orders: Iterable[SandboxOrder]) -> list[Row]:
    instruments = caller.exchange.instruments
    return [
        trade_row(order, trade, instruments[order.request.instrument]) for order in orders for trade in order.trades
    ]
