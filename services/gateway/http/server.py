"""The application, and uvicorn as one of the gateway's components."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Mapping
from importlib.resources import files

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import SecretStr

from services.gateway.handlers import CommandHandler
from services.gateway.http.auth import Guard
from services.gateway.http.commands import command_routes
from services.gateway.http.live import EventHub, live_routes
from services.gateway.http.system import open_routes, system_routes
from services.gateway.http.views import view_routes
from services.gateway.patience import PASSING
from services.gateway.settings import GatewaySettings
from tradebus.bus.port import Bus, Subscription
from tradebus.kernel.errors import Unavailable
from tradebus.store.store import Store


def create_app(
    settings: GatewaySettings, *, token: SecretStr, bus: Bus, store: Store, handler: CommandHandler, hub: EventHub,
    inputs: Mapping[str, Subscription],
) -> FastAPI:  # fmt: skip
    """Every route, behind the guard. `inputs` are the subscriptions whose lag /api/health shows."""
    app = FastAPI(title="tradebus", docs_url=None, redoc_url=None, openapi_url=None)
    page = (files("services.gateway.http") / "page.html").read_bytes()
    app.include_router(open_routes(token, lambda: True))
    app.include_router(system_routes(settings, bus=bus, store=store, inputs=inputs))
    app.include_router(view_routes(store))
    app.include_router(command_routes(handler))
    app.include_router(live_routes(hub))

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
    return app


def bind(host: str, port: int) -> socket.socket:
    """Listens at once, so that a caller who connects before the application runs waits instead of being refused.

    Raises Unavailable where the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(256)
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"gateway: cannot listen on {host}:{port} ({error.strerror}); set TRADEBUS_GATEWAY_PORT to a free port"
        ) from error
    listener.setblocking(False)
    return listener


class HttpServer:
    """Serves the application until told to stop; open requests get some seconds to end."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        self._listener = listener
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3, ws_max_size=64 * 1024,
            server_header=False,
        )  # fmt: skip
        self._server = _Server(config)

    async def run(self, stop: asyncio.Event) -> None:
        serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
            self._server.should_exit = True
            await serving
        finally:
            stopping.cancel()
            self._listener.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the service shell's business."""
        yield
