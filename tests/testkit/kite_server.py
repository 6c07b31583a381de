"""Kite's REST address played by hand."""

from typing import Any

from testkit.scripted_server import Reply, ScriptedServer
from testkit.waiting import WALL_TIMERS
from tradebus.brokers.calls import Pacer
from tradebus.brokers.kite import KiteClient, KiteEndpoints, KiteSettings
from tradebus.kernel.timers import Timers

TOKEN = "very-secret-access-token"


def refusal(status: int, kind: str, message: str = "no") -> Reply:
    return Reply({"status": "error", "message": message, "data": None, "error_type": kind}, status)


class KiteServer(ScriptedServer):
    def __init__(self) -> None:
        super().__init__(lambda asked: refusal(404, "GeneralException", "Route not found"))

    def settings(self, **changes: Any) -> KiteSettings:
        fields = {"api_key": "apikey", "api_secret": "api-secret-text", "access_token": TOKEN}
        return KiteSettings(**(fields | {"endpoints": KiteEndpoints.at(self.url)} | changes))

    def client(self, *, timers: Timers = WALL_TIMERS, request_seconds: float = 5.0, **changes: Any) -> KiteClient:
        client = KiteClient(
            self.settings(**changes), timers=timers, request_seconds=request_seconds, first_delay_seconds=0.001
        )
        client.quotes_pacer = client.history_pacer = client.other_pacer = Pacer(
            10_000, timers=WALL_TIMERS
        )  # nobody counts here
        return client
