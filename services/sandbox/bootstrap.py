"""Wires the sandbox.

settings ─► listing, market ─► exchange ─► kite, dhan, upstox faces (each behind limits and faults), admin ─► driver
"""

from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from services.sandbox.assembly import Sandbox, assemble
from services.sandbox.exchange import SandboxExchange, generated_exchange
from services.sandbox.faults.rules import FaultRule, RuleFaults, seeded_rules
from services.sandbox.settings import SandboxSettings
from services.sandbox.sources import exchange_from_files
from tradebus.kernel.errors import InvalidInput
from tradebus.runtime.shell import Component

_log = structlog.get_logger()


def build_sandbox(settings: SandboxSettings) -> Sequence[Component]:
    """Everything listening, nothing running yet. Raises InvalidInput and Unavailable, naming what to set."""
    sandbox = make_sandbox(settings)
    _log.info("sandbox", **{name: f"http://{settings.host}:{port}" for name, port in sandbox.ports.items()})
    return sandbox.components


def make_sandbox(settings: SandboxSettings) -> Sandbox:
    """The sandbox itself, for who needs its ports."""
    exchange = make_exchange(settings)
    rules = [*rules_from(settings.faults)] if settings.faults else []
    if settings.fault_seed is not None:
        rules += seeded_rules(settings.fault_seed, share=settings.fault_share)
    faults = RuleFaults(lambda: exchange.now_ns, rules)
    return assemble(exchange, host=settings.host, ports=settings.ports, faults=faults, limit_scale=settings.limit_scale)


def make_exchange(settings: SandboxSettings) -> SandboxExchange:
    """The market that the settings ask for."""
    if settings.master is None and settings.history is None:
        return generated_exchange(settings.market)
    return exchange_from_files(
        settings.market, master=settings.master, history=settings.history, symbol=settings.history_symbol
    )


def rules_from(path: Path) -> tuple[FaultRule, ...]:
    """Fault rules of a JSON file. Raises InvalidInput that names the file and the bad field."""
    try:
        return TypeAdapter(tuple[FaultRule, ...]).validate_json(path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"TRADEBUS_SANDBOX_FAULTS: cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"TRADEBUS_SANDBOX_FAULTS: {path}: {where}: {first['msg']}") from None
