"""Upstox's REST address played by hand."""

from typing import Any

from testkit.scripted_server import Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.calls import Pacer
from tradebus.brokers.upstox import UpstoxClient, UpstoxEndpoints, UpstoxSettings
from tradebus.kernel.timers import Timers

TOKEN = "very-secret-access-token"
SECRET = "api-secret-text"
PAGE = b"<html><body>502 Bad Gateway</body></html>"


def refusal(status: int, code: str, message: str = "no") -> Reply:
    error = {"errorCode": code, "message": message, "propertyPath": None, "invalidValue": None}
    return Reply({"status": "error", "errors": [error]}, status)


class UpstoxServer(ScriptedServer):
    def __init__(self) -> None:
        super().__init__(lambda asked: refusal(404, "UDAPI100060", "Resource not Found."))

    def settings(self, **changes: Any) -> UpstoxSettings:
        fields = {"api_key": "apikey", "api_secret": SECRET, "access_token": TOKEN}
        return UpstoxSettings(**(fields | {"endpoints": UpstoxEndpoints.at(self.url)} | changes))

    def client(self, *, timers: Timers = WALL_TIMERS, request_seconds: float = 5.0, **changes: Any) -> UpstoxClient:
        client = UpstoxClient(
            self.settings(**changes), timers=timers, request_seconds=request_seconds, first_delay_seconds=0.001
        )
        client.pacer = Pacer(10_000, timers=WALL_TIMERS)  # nobody counts here
        return client
