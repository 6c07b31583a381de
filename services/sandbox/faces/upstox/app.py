"""The exchange as Upstox shows it: REST /v2 and /v3, market feed, portfolio stream, instrument dumps.

Left out: trailing stops of GTT orders (the gap is kept and shown), borrowed money (MTF is a delivery); mutual funds,
IPOs, payments, news and fundamentals are unknown paths.

request ─► token ─► fields (named complaints) ─► Exchange ─► rows (Upstox's words) ─► envelope
"""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from services.sandbox.faces.upstox import (
    account,
    books,
    gtt,
    history,
    market,
    options,
    orders,
    portfolio,
    quotes,
    sockets,
)
from services.sandbox.faces.upstox.catalogue import Catalogue
from services.sandbox.faces.upstox.errors import UpstoxError, error_body, unknown_path
from services.sandbox.faces.upstox.face import Face, answer, endpoint
from services.sandbox.faces.upstox.feed_hub import FeedHub
from services.sandbox.faces.upstox.gtt_book import GttBook
from services.sandbox.faces.upstox.gtt_watch import GttWatch
from services.sandbox.faces.upstox.logins import Logins
from services.sandbox.faces.upstox.sockets import socket_routes
from services.sandbox.faults.ports import Faults
from services.sandbox.ports import Exchange

_PARTS = (account, books, gtt, history, market, options, orders, portfolio, quotes, sockets)


def create_app(exchange: Exchange, faults: Faults) -> FastAPI:
    """REST and sockets of Upstox over the exchange."""
    app = FastAPI(title="sandbox: upstox", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    gtts = GttBook(exchange)
    face = Face(
        exchange=exchange, catalogue=Catalogue(exchange), logins=Logins(exchange), faults=faults, gtts=gtts,
        gtt_watch=GttWatch(exchange, gtts), feed=FeedHub(exchange),
    )  # fmt: skip
    app.state.exchange, app.state.faults, app.state.error_body = exchange, faults, error_body
    for part in _PARTS:
        for method, path, access, handler in part.ROUTES:
            app.router.routes.append(HttpRoute(path, endpoint(face, access, handler), methods=[method]))
    app.router.routes.extend(socket_routes(face))
    app.add_exception_handler(404, _unknown_path)
    app.add_exception_handler(405, _wrong_method)
    return app


async def _unknown_path(_request: Request, _error: Exception) -> Response:
    error = unknown_path()
    return answer(error.body, error.status)


async def _wrong_method(_request: Request, _error: Exception) -> Response:
    error = UpstoxError(405, "UDAPI10000", "This request is not supported by Upstox API")
    return answer(error.body, error.status)
