"""The gateway's application: every route, behind the guard."""

from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from services.gateway.adapters.views import BookViews
from services.gateway.handlers import CommandHandler
from services.gateway.hooks.door import WebhookDoor
from services.gateway.http.auth import Guard
from services.gateway.http.commands import command_routes
from services.gateway.http.hooks import hook_routes
from services.gateway.http.live import EventHub, live_routes
from services.gateway.http.system import open_routes, system_routes
from services.gateway.http.views import view_routes
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.http.bounds import BoundedBodies
from tradebus.runtime.patience import PASSING
from tradebus.store.books import KillSwitchBook

# A command is smaller by far; one that is larger is told so with its size, as long as it is not absurd.
BODY_BYTES_MAX = 1024 * 1024


def create_app(
    settings: GatewaySettings, *, token: SecretStr, bus: Bus, views: BookViews, switch: KillSwitchBook, clock: Clock,
    handler: CommandHandler, hooks: WebhookDoor, hub: EventHub, registry: CollectorRegistry,
) -> FastAPI:  # fmt: skip
    """Every route, behind the guard. `registry` is what /metrics shows."""
    app = FastAPI(title="tradebus", docs_url=None, redoc_url=None, openapi_url=None)
    page = (files("services.gateway.http") / "page.html").read_bytes()
    app.include_router(open_routes(token, lambda: True))
    app.include_router(system_routes(settings, bus=bus, views=views, switch=switch, clock=clock, registry=registry))
    app.include_router(view_routes(views, clock))
    app.include_router(command_routes(handler))
    app.include_router(hook_routes(hooks))
    app.include_router(live_routes(hub, bus))

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    @app.exception_handler(RequestValidationError)
    async def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        """Names what is wrong and where, without what was sent: that may be a token."""
        errors = [{"field": ".".join(map(str, one["loc"][1:])), "problem": one["msg"]} for one in error.errors()]
        return JSONResponse({"detail": "malformed request", "errors": errors}, 422)

    async def unavailable(_request: Request, error: Exception) -> JSONResponse:
        detail = str(error) if isinstance(error, Unavailable) else "Postgres or Redis does not answer; try again"
        return JSONResponse({"detail": detail}, 503)

    for passing in PASSING:
        app.add_exception_handler(passing, unavailable)

    app.add_middleware(Guard, token=token, login_page=page)
    # Around the guard: who shows no token is refused by the header, before a byte of the body is read.
    app.add_middleware(BoundedBodies, bytes_max=BODY_BYTES_MAX)
    return app
