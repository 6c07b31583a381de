"""The exchange as Dhan shows it: REST under /v2, market feed at `ws /`, order updates at `ws /orders`.

    request ─► caller (token, client id) ─► fields (DH-905 names what is wrong) ─► Exchange ─► rows in Dhan's words

Left out: currency and commodity segments (nothing is listed there), alerts on indicators, bracket and cover orders
(Dhan has moved them to super orders), hedge benefits in margins, charges, partners' logins, postbacks, US stocks.
Yesterday's open interest and volume are not kept by the exchange: the day's lowest and 0 stand in for them.

auth.dhan.co's paths (/app/…), images.dhan.co's masters (/api-data/…) and the deep books (ws /twentydepth, /fulldepth)
are served at the same address.
"""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from services.sandbox.faces.dhan import (
    alerts,
    charts,
    controls,
    forever,
    logins,
    market,
    masters,
    orders,
    portfolio,
    super_routes,
)
from services.sandbox.faces.dhan.catalogue import Catalogues
from services.sandbox.faces.dhan.depth import depth_routes
from services.sandbox.faces.dhan.feed import feed_routes
from services.sandbox.faces.dhan.feed_hub import FeedHub
from services.sandbox.faces.dhan.order_stream import order_stream_routes
from services.sandbox.faces.dhan.problems import DhanProblem, answer_problem, error_body
from services.sandbox.faces.dhan.super_orders import SuperOrders
from services.sandbox.faces.dhan.watching import QuoteWatcher
from services.sandbox.faults.ports import Faults
from services.sandbox.ports import Exchange, Refusal

_REST = (orders, super_routes, forever, alerts, portfolio, controls, charts, market)


def create_app(exchange: Exchange, faults: Faults) -> FastAPI:
    """REST and sockets of Dhan over the exchange."""
    app = FastAPI(title="sandbox: dhan", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.exchange, app.state.faults = exchange, faults
    app.state.catalogues = catalogues = Catalogues(exchange)
    app.state.error_body = error_body  # for what the middleware around this application says in Dhan's name
    app.state.watcher = watcher = QuoteWatcher(exchange)
    app.state.super_orders, app.state.consents = SuperOrders(exchange), logins.Consents()
    app.state.alerts, app.state.pnl_exits = alerts.Alerts(exchange, watcher), controls.PnlExits(exchange, watcher)
    for part in _REST:
        app.include_router(part.router, prefix="/v2")
    app.include_router(masters.router)
    app.include_router(logins.router)
    app.include_router(feed_routes(exchange, faults, FeedHub(exchange)))
    app.include_router(order_stream_routes(exchange, faults, catalogues))
    app.include_router(depth_routes(exchange, faults))
    app.add_exception_handler(DhanProblem, answer_problem)
    app.add_exception_handler(Refusal, answer_problem)
    app.add_exception_handler(RequestValidationError, _bad_path)
    app.add_exception_handler(404, _unknown_path)
    app.add_exception_handler(405, _unknown_path)
    return app


async def _bad_path(request: Request, error: Exception) -> JSONResponse:
    return await answer_problem(request, DhanProblem("DH-905", "a part of the path is not what it should be"))


async def _unknown_path(request: Request, error: Exception) -> JSONResponse:
    status = getattr(error, "status_code", 404)
    body = DhanProblem("DH-905", f"{request.method} {request.url.path[:80]} is nothing that Dhan offers").body()
    return JSONResponse(body, status_code=status)
