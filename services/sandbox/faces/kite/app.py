"""The exchange as Kite shows it: REST under `/`, the ticker's WebSocket at `/`.

request ─► fields (named complaints) ─► Exchange ─► rows (Kite's words) ─► envelope
"""

from fastapi import FastAPI

from services.sandbox.faces.kite.followers import Followers
from services.sandbox.faces.kite.funds import fund_routes
from services.sandbox.faces.kite.instruments import instrument_routes
from services.sandbox.faces.kite.logins import Logins, login_routes
from services.sandbox.faces.kite.margins import margin_routes
from services.sandbox.faces.kite.market import market_routes
from services.sandbox.faces.kite.orders import order_routes
from services.sandbox.faces.kite.portfolio import portfolio_routes
from services.sandbox.faces.kite.replies import (
    KiteError,
    error_body,
    on_kite_error,
    on_refusal,
    on_unknown_route,
    on_wrong_method,
)
from services.sandbox.faces.kite.ticker import ticker_routes
from services.sandbox.faces.kite.triggers import trigger_routes
from services.sandbox.faults.ports import Faults
from services.sandbox.ports import Exchange, Refusal


def create_app(exchange: Exchange, faults: Faults) -> FastAPI:
    """REST and sockets of Kite over the exchange."""
    app = FastAPI(title="sandbox: kite", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.exchange, app.state.faults, app.state.error_body = exchange, faults, error_body
    logins, followers = Logins(exchange), Followers(exchange)
    app.include_router(login_routes(logins))
    app.include_router(order_routes(exchange, logins.caller, followers))
    app.include_router(portfolio_routes(exchange, logins.caller))
    app.include_router(market_routes(exchange, logins.caller))
    app.include_router(instrument_routes(exchange, logins.caller))
    app.include_router(margin_routes(exchange, logins.caller))
    app.include_router(trigger_routes(exchange, logins.caller))
    app.include_router(fund_routes(logins.caller))
    app.include_router(ticker_routes(exchange, faults, logins, followers))
    app.add_exception_handler(KiteError, on_kite_error)
    app.add_exception_handler(Refusal, on_refusal)
    app.add_exception_handler(404, on_unknown_route)
    app.add_exception_handler(405, on_wrong_method)
    return app
