"""Mutual funds: well-formed empty books. The sandbox trades no funds and says so."""

from fastapi import APIRouter, Request, Response

from services.sandbox.faces.kite.fields import form_of
from services.sandbox.faces.kite.logins import Authorise
from services.sandbox.faces.kite.replies import ErrorType, KiteError, bad_input, success

_COLUMNS = (
    "tradingsymbol", "amc", "name", "purchase_allowed", "redemption_allowed", "minimum_purchase_amount",
    "purchase_amount_multiplier", "minimum_additional_purchase_amount", "minimum_redemption_quantity",
    "redemption_quantity_multiplier", "dividend_type", "scheme_type", "plan", "settlement_type", "last_price",
    "last_price_date",
)  # fmt: skip


def fund_routes(authorise: Authorise) -> APIRouter:
    router = APIRouter()

    @router.get("/mf/orders")
    @router.get("/mf/sips")
    @router.get("/mf/holdings")
    async def books(request: Request) -> Response:
        authorise(request)
        return success([])

    @router.get("/mf/instruments")
    async def instruments(request: Request) -> Response:
        authorise(request)
        return Response(",".join(_COLUMNS) + "\n", media_type="text/csv")

    @router.post("/mf/orders")
    @router.post("/mf/sips")
    async def place(request: Request) -> Response:
        authorise(request)
        symbol = (await form_of(request)).text("tradingsymbol")
        raise bad_input(f"Invalid `tradingsymbol`: {symbol[:40]!r}: this sandbox trades no mutual funds")

    @router.api_route("/mf/orders/{number}", methods=["GET", "DELETE"])
    @router.api_route("/mf/sips/{number}", methods=["GET", "PUT", "DELETE"])
    async def one(number: str, request: Request) -> Response:
        authorise(request)
        raise KiteError(ErrorType.GENERAL, f"There is no mutual fund order or SIP {number[:40]!r}", code=404)

    return router
