"""The sandbox exchange as a process of its own, beside what is tried against it."""

import sys
from collections.abc import Mapping

from services.cli.output import Verbosity
from services.cli.stack.children import ServiceSpec, free_port

FACES = ("kite", "dhan", "upstox")
ADMIN = "admin"


def sandbox_spec(settings: Mapping[str, str]) -> tuple[ServiceSpec, dict[str, int]]:
    """What to run, and its ports by face ("admin" is its own address). `settings` are its variables without
    TRADEBUS_SANDBOX_, but for the ports."""
    ports = {face: free_port() for face in (*FACES, ADMIN)}
    health = free_port()
    own = {**settings, **{f"{face.upper()}_PORT": str(port) for face, port in ports.items()}}
    environment: dict[str, str | None] = {
        **{f"TRADEBUS_SANDBOX_{name}": value for name, value in own.items()}, "TRADEBUS_HEALTH_PORT": str(health),
        "TRADEBUS_HEALTH_HOST": None, "TRADEBUS_LOG_LEVEL": Verbosity.log_level,
    }  # fmt: skip
    command = [sys.executable, "-m", "services.sandbox.main"]
    return ServiceSpec("sandbox", command, health, environment, restartable=False), ports


def broker_addresses(ports: Mapping[str, int]) -> dict[str, str]:
    """The variables by which services find the faces."""
    return {f"TRADEBUS_{face.upper()}_URL": f"http://127.0.0.1:{ports[face]}" for face in FACES}
