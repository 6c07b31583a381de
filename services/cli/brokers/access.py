"""A broker for the commands that look at one: by name, address and stored login."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from services.cli.arguments import parse_broker
from services.cli.output import Verbosity
from services.cli.place import credentials_key, state_dir
from services.cli.stack.rundir import alive_runs
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.credentials import Credential, Credentials
from tradebus.brokers.registry import Broker, open_broker
from tradebus.config.brokers import is_http_url
from tradebus.kernel.clock import WallClock
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.ids import RandomIds
from tradebus.runtime.auditing import audit_folder
from tradebus.runtime.logs import configure_logs
from tradebus.waiting.timers import wall_timers

# Their instrument masters are public files.
_PUBLIC_MASTERS = ("dhan", "upstox")


def credentials(folder: Path | None = None) -> Credentials:
    """Those of the state folder, or of another, opened with TRADEBUS_CREDENTIALS_KEY where it is set."""
    return Credentials(folder or state_dir(), key=credentials_key())


def broker_url(broker: str, url: str | None) -> str:
    """The address given, else the broker's setting, else "" for the broker itself. Raises InvalidInput."""
    found = url if url is not None else os.environ.get(f"TRADEBUS_{broker.upper()}_URL", "")
    if found and not is_http_url(found):
        raise InvalidInput(f"--url {found!r}: write it as http://127.0.0.1:8101")
    return found.rstrip("/")


def stored_login(broker: str, name: str | None, *, public: bool = False) -> Credential:
    """The login by its name, else the broker's own; an empty one where that is enough (`public`). Raises
    InvalidInput."""
    kept = credentials()
    chosen = name or broker
    if public and name is None and chosen not in kept and broker in _PUBLIC_MASTERS:
        return Credential(broker, client_id="none", access_token="none")  # noqa: S106 - none is needed
    found = kept.get(chosen)
    if found.broker != broker:
        raise InvalidInput(f"--credential {chosen}: is a login at {found.broker}, not at {broker}")
    return found


@asynccontextmanager
async def opened(
    broker: str, *, url: str | None, credential: str | None, public: bool = False
) -> AsyncIterator[Broker]:
    """The broker, closed at the end. Raises InvalidInput for an unknown name, address or login."""
    parse_broker(broker, option="--broker")
    configure_logs("tradebus", level="debug" if Verbosity.log_level == "debug" else "warning")
    login, timers = stored_login(broker, credential, public=public), wall_timers()
    with audited() as log_of:
        log = log_of(f"{broker}:{credential or broker}")
        found = open_broker(broker, login, url=broker_url(broker, url), timers=timers, log=log)
        try:
            yield found
        finally:
            found.close()


@contextmanager
def audited(folder: Path | None = None, *, namespace: str | None = None, name: str = "cli") -> Iterator[LogOf]:
    """The logs of a command that talks to brokers, in the state folder (or another): the next service that runs, or
    `tradebus audit`, brings them into the book. Without a `namespace`, of the stack that runs or the environment's."""
    root = folder or state_dir()
    if namespace is None:
        runs = alive_runs(root)
        namespace = runs[0].namespace if runs else os.environ.get("TRADEBUS_NAMESPACE", "")
    spool = Spool(audit_folder(root, namespace), name=name, clock=WallClock(), ids=RandomIds())
    try:
        yield spool.of
    finally:
        spool.close()
