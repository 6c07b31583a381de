"""One sandbox on four ports: the three faces and the admin address over one exchange."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from services.sandbox.admin.http import create_admin
from services.sandbox.driver import Driver
from services.sandbox.exchange import SandboxExchange
from services.sandbox.faces.dhan.app import create_app as dhan_app
from services.sandbox.faces.kite.app import create_app as kite_app
from services.sandbox.faces.upstox.app import create_app as upstox_app
from services.sandbox.faults.http import FaultyApp
from services.sandbox.faults.limits import RateLimits
from services.sandbox.faults.rules import RuleFaults
from services.sandbox.ports import BrokerName
from services.sandbox.server import FaceServer
from tradebus.runtime.http.server import bind
from tradebus.runtime.shell import Component, run_components

ADMIN = "admin"
_PING_SECONDS = {BrokerName.DHAN: 10.0}  # the others never ping


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Listening, not running yet. `ports` by face ("kite", "dhan", "upstox", "admin")."""

    exchange: SandboxExchange
    faults: RuleFaults
    limits: RateLimits
    driver: Driver
    ports: dict[str, int]
    components: Sequence[Component]

    def url(self, face: str, *, host: str = "127.0.0.1") -> str:
        """http://host:port of a face."""
        return f"http://{host}:{self.ports[face]}"


def assemble(
    exchange: SandboxExchange,
    *,
    host: str = "127.0.0.1",
    ports: dict[str, int] | None = None,
    faults: RuleFaults | None = None,
    limit_scale: float = 1.0,
    limits: RateLimits | None = None,
) -> Sandbox:
    """Everything over `exchange`, counted by `limits`, or by the brokers' own times `limit_scale`. A port that is not
    named is the system's choice. Raises Unavailable."""
    wanted = ports or {}
    rules = faults or RuleFaults(lambda: exchange.now_ns)
    limits = limits or RateLimits(scale=limit_scale)
    driver = Driver(exchange)
    components: list[Component] = [driver]
    found: dict[str, int] = {}
    makers = {BrokerName.KITE: kite_app, BrokerName.DHAN: dhan_app, BrokerName.UPSTOX: upstox_app}
    for broker, create_app in makers.items():
        app = create_app(exchange, rules)
        face = FaultyApp(app, broker=broker, exchange=exchange, faults=rules, limits=limits)
        listener = bind(host, wanted.get(broker.value, 0), setting=f"TRADEBUS_SANDBOX_{broker.name}_PORT")
        found[broker.value] = _port(listener)
        components.append(FaceServer(face, listener, ping_seconds=_PING_SECONDS.get(broker)))
    listener = bind(host, wanted.get(ADMIN, 0), setting="TRADEBUS_SANDBOX_ADMIN_PORT")
    found[ADMIN] = _port(listener)
    components.append(FaceServer(create_admin(exchange, rules), listener))
    return Sandbox(exchange, rules, limits, driver, found, tuple(components))


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


async def run_until(sandbox: Sandbox, stop: asyncio.Event) -> None:
    """Runs all parts until `stop` or until one fails, whose error is raised."""
    await run_components(sandbox.components, stop)
