"""Orders: place, modify and cancel per variety, the book, history, trades."""

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.asking import change_asked, legs_asked, order_asked, slices_of
from services.sandbox.faces.kite.fields import Fields, form_of
from services.sandbox.faces.kite.followers import Followers
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import KiteError, bad_input, success
from services.sandbox.faces.kite.rows import Row, history_rows, order_row, trade_row
from services.sandbox.faces.kite.words import VARIETIES
from services.sandbox.ports import Exchange, NewOrder, Refusal, SandboxOrder, SandboxStatus
from tradebus.contracts.orders import OrderType, Transaction

_SLICES_MAX = 10
_OPPOSITE = {Transaction.BUY: Transaction.SELL, Transaction.SELL: Transaction.BUY}


def order_routes(exchange: Exchange, authorise: Authorise, followers: Followers) -> APIRouter:
    router, desk = APIRouter(), OrderDesk(exchange, followers)

    @router.post("/orders/{variety}")
    async def place(variety: str, request: Request) -> Response:
        caller = authorise(request)
        return success(desk.place(caller.account, known_variety(variety), await form_of(request)))

    @router.put("/orders/{variety}/{order_id}")
    async def modify(variety: str, order_id: str, request: Request) -> Response:
        caller = authorise(request)
        known_variety(variety)
        changed = exchange.modify(caller.account, order_id, change_asked(await form_of(request)))
        return success({"order_id": changed.order_id})

    @router.delete("/orders/{variety}/{order_id}")
    async def cancel(variety: str, order_id: str, request: Request) -> Response:
        caller = authorise(request)
        return success({"order_id": desk.cancel(caller.account, known_variety(variety), order_id)})

    @router.get("/orders")
    async def book(request: Request) -> Response:
        orders = exchange.orders(authorise(request).account)
        return success([order_row(exchange, order, followers) for order in orders])

    @router.get("/orders/{order_id}")
    async def history(order_id: str, request: Request) -> Response:
        order = exchange.order(authorise(request).account, order_id)
        return success(history_rows(exchange, order, followers))

    @router.get("/orders/{order_id}/trades")
    async def order_trades(order_id: str, request: Request) -> Response:
        order = exchange.order(authorise(request).account, order_id)
        return success([trade_row(exchange, order, trade) for trade in order.trades])

    @router.get("/trades")
    async def trades(request: Request) -> Response:
        orders = exchange.orders(authorise(request).account)
        pairs = sorted(((order, trade) for order in orders for trade in order.trades), key=lambda pair: pair[1].at_ns)
        return success([trade_row(exchange, order, trade) for order, trade in pairs])

    return router


def known_variety(variety: str) -> str:
    if variety not in VARIETIES:
        raise bad_input(f"Invalid `variety`: {variety[:20]!r} is not one of {', '.join(VARIETIES)}")
    return variety


class OrderDesk:
    """What a variety makes of a request. Every method raises KiteError or Refusal where the request does nothing."""

    def __init__(self, exchange: Exchange, followers: Followers) -> None:
        self._exchange, self._followers = exchange, followers

    def place(self, account: str, variety: str, fields: Fields) -> Row:
        """The reply's data: the order id, with autoslice also the other slices."""
        order = order_asked(self._exchange, fields, variety=variety)
        if variety == "auction":
            raise bad_input(f"Invalid `auction_number`: {fields.text('auction_number')[:20]!r} is not held today")
        if variety == "co":
            return {"order_id": self._place_cover(account, order, fields).order_id}
        if variety == "iceberg":
            return {"order_id": self._place_legs(account, order, legs_asked(fields, order), 0).order_id}
        if fields.text("autoslice", "false").lower() == "true":
            return self._place_slices(account, order)
        return {"order_id": self._exchange.place(account, order).order_id}

    def cancel(self, account: str, variety: str, order_id: str) -> str:
        """Leaving a cover order by its stop closes the position at the market."""
        order = self._exchange.cancel(account, order_id)
        if variety == "co" and self._followers.parent(order_id) is not None:
            left = order.request.quantity - order.filled_quantity
            leaving = replace(
                order.asked, order_type=OrderType.MARKET, quantity=left, price_paise=0, trigger_paise=0,
                market_protection_pct=-1.0,
            )  # fmt: skip
            self._exchange.place(account, leaving)
        return order.order_id

    def _place_cover(self, account: str, order: NewOrder, fields: Fields) -> SandboxOrder:
        """An entry, followed by its stop as soon as the entry has ended with fills."""
        if order.order_type not in (OrderType.MARKET, OrderType.LIMIT):
            raise bad_input("Invalid `order_type`: a cover order is MARKET or LIMIT")
        if self._exchange.instruments[order.instrument].key.is_option:
            raise bad_input("Invalid `variety`: options take no stop-market order, so they cannot be covered")
        trigger_paise = fields.paise("trigger_price", None)
        entry = self._exchange.place(account, order)

        def protect(ended: SandboxOrder) -> None:
            if ended.filled_quantity > 0:
                stop = self._exchange.place(account, replace(
                    ended.asked, transaction=_OPPOSITE[order.transaction], order_type=OrderType.SL_M, price_paise=0,
                    trigger_paise=trigger_paise, quantity=ended.filled_quantity, market_protection_pct=-1.0,
                ))  # fmt: skip
                self._followers.belongs(stop.order_id, parent=ended.order_id)

        self._followers.at_end(entry, protect)
        return entry

    def _place_legs(self, account: str, order: NewOrder, quantities: list[int], number: int) -> SandboxOrder:
        """One leg of an iceberg; the next follows when it is complete."""
        leg = self._exchange.place(account, replace(order, quantity=quantities[number]))
        left = sum(quantities[number + 1 :])
        self._followers.note(leg.order_id, {"iceberg": {
            "leg": number + 1, "legs": len(quantities), "leg_quantity": quantities[0], "total_quantity": order.quantity,
            "remaining_quantity": left,
        }})  # fmt: skip

        def go_on(ended: SandboxOrder) -> None:
            if ended.status is SandboxStatus.COMPLETE and left > 0:
                self._place_legs(account, order, quantities, number + 1)

        self._followers.at_end(leg, go_on)
        return leg

    def _place_slices(self, account: str, order: NewOrder) -> Row:
        instrument = self._exchange.instruments[order.instrument]
        quantities = slices_of(order.quantity, instrument.freeze_quantity, instrument.lot_size)
        if len(quantities) > _SLICES_MAX:
            raise bad_input(f"Invalid `quantity`: makes more than {_SLICES_MAX} slices")
        first = self._exchange.place(account, replace(order, quantity=quantities[0]))
        children: list[Row] = []
        for quantity in quantities[1:]:
            try:
                children.append({"order_id": self._exchange.place(account, replace(order, quantity=quantity)).order_id})
            except Refusal as refusal:
                error = KiteError.of(refusal)
                children.append({"error": {
                    "code": error.code, "error_type": error.kind.value, "message": error.message, "data": None,
                }})  # fmt: skip
        return {"order_id": first.order_id, "children": children}
