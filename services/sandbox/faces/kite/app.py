"""The exchange as Kite shows it."""

from fastapi import FastAPI

from services.sandbox.ports import Exchange, Faults


def create_app(exchange: Exchange, faults: Faults) -> FastAPI:
    """REST and sockets of Kite over the exchange."""
    app = FastAPI(title="sandbox: kite", openapi_url=None)
    app.state.exchange, app.state.faults = exchange, faults
    return app
