"""Where things are: the state folder, the servers, the running stacks."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from services.cli.stack.rundir import RunState, alive_runs, read_run, runs_folder
from tradebus.kernel.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from services.cli.client import GatewayClient
    from tradebus.runtime.embedded import ServerUrls


@dataclass(frozen=True, slots=True)
class Servers:
    """Postgres and Redis, passwords inside: never printed. Services may have a quicker way to them than people."""

    database_url: str
    redis_url: str
    services_database_url: str = ""
    services_redis_url: str = ""
    starter_pid: int = 0  # of embedded ones

    @classmethod
    def at(cls, urls: "ServerUrls") -> "Servers":
        near = urls.for_services
        return cls(
            _with_password(urls.database_url, "DATABASE"),
            _with_password(urls.redis_url, "REDIS"),
            _with_password(near.database_url, "DATABASE"),
            _with_password(near.redis_url, "REDIS"),
            urls.starter_pid,
        )

    def __repr__(self) -> str:
        return "Servers(…)"


def credentials_key() -> SecretStr | None:
    """What the state folder's sealed files are opened with where it is set: TRADEBUS_CREDENTIALS_KEY, or its file."""
    key = _given("TRADEBUS_CREDENTIALS_KEY")
    return SecretStr(key) if key else None


def state_dir() -> Path:
    from tradebus.config.settings import default_state_dir

    return default_state_dir().resolve()


@contextmanager
def open_servers() -> Iterator[Servers]:
    """DATABASE_URL and REDIS_URL; what is not set is embedded, or shared with a tradebus that embeds it already: they
    stay for as long as any of them lasts."""
    from tradebus.runtime.embedded import servers_from_environment

    given = servers_in_environment()
    if given is not None:
        yield given
        return
    with servers_from_environment(state_dir()) as urls:
        yield Servers.at(urls)


@contextmanager
def open_database() -> Iterator[str]:
    """DATABASE_URL, else the embedded server for as long as this lasts, with the other one beside it: whoever comes to
    share them needs both."""
    from tradebus.runtime.embedded import EmbeddedServers

    given = _given("DATABASE_URL")
    if given:
        yield _with_password(given, "DATABASE")
        return
    with EmbeddedServers(state_dir()) as urls:
        yield urls.database_url


def servers_in_environment() -> Servers | None:
    """What DATABASE_URL and REDIS_URL (or their files) say, where both are set."""
    database_url, redis_url = _given("DATABASE_URL"), _given("REDIS_URL")
    if database_url and redis_url:
        return Servers(_with_password(database_url, "DATABASE"), _with_password(redis_url, "REDIS"))
    return None


def find_database() -> str:
    """A Postgres that runs already: DATABASE_URL, else the embedded one. Raises Unavailable where there is none."""
    return _find("DATABASE", lambda urls: urls.for_services.database_url)


def database_is_given() -> bool:
    """Whether the environment names a Postgres, one that answers or not."""
    return bool(_given("DATABASE_URL"))


def find_redis() -> str:
    """A Redis that runs already: REDIS_URL, else the embedded one. Raises Unavailable where there is none."""
    return _find("REDIS", lambda urls: urls.for_services.redis_url)


def _find(which: str, of: "Callable[[ServerUrls], str]") -> str:
    from tradebus.runtime.embedded import running_servers

    given = _given(f"{which}_URL")
    if given:
        return _with_password(given, which)
    shared = running_servers(state_dir())
    if shared is None or not of(shared):
        raise Unavailable(f"nothing runs here: start it with `tradebus up`, or set {which}_URL")
    return of(shared)


def find_namespace(stack: str | None) -> str:
    """Of the running stack; without one the default namespace, where REDIS_URL says that it runs elsewhere."""
    if stack is None and _given("REDIS_URL") and not alive_runs(state_dir()):
        return ""
    return find_run(stack).namespace


def find_run(name: str | None) -> RunState:
    """The running stack of that name (or namespace); without a name the one of `tradebus up`, else the newest.

    Raises Unavailable where none runs.
    """
    runs = alive_runs(state_dir())
    if name is not None:
        runs = [run for run in runs if name in (run.name, run.namespace)]
    if not runs:
        what = f"no stack named {name!r} runs" if name is not None else "no stack runs"
        raise Unavailable(f"{what} here ({state_dir()}): start one with `tradebus up`, or give --url")
    return runs[0]


def read_token(path: Path) -> SecretStr:
    """The API token: TRADEBUS_API_TOKEN or its file where set, else the content of `path`. Raises InvalidInput."""
    given = _given("TRADEBUS_API_TOKEN")
    if given:
        return SecretStr(given)
    try:
        return SecretStr(path.read_text().strip())
    except OSError as error:
        raise InvalidInput(f"{path}: cannot read the API token there ({error.strerror}); give --token-file") from error


def _given(name: str) -> str:
    from tradebus.config.settings import secrets_from_files

    return os.environ.get(name) or secrets_from_files(os.environ).get(name, "")


def _with_password(url: str, which: str) -> str:
    from tradebus.config.settings import with_password

    password = _given(f"{which}_PASSWORD")
    return with_password(url, SecretStr(password) if password else None)


def find_gateway(stack: str | None, *, url: str | None, token_file: Path | None) -> "GatewayClient":
    """A client of the gateway at `url`, else of the running stack. Raises InvalidInput and Unavailable."""
    from services.cli.client import GatewayClient
    from services.gateway.settings import TOKEN_FILE

    if url is not None:
        return GatewayClient(url, read_token(token_file or state_dir() / TOKEN_FILE))
    run = find_run(stack)
    return GatewayClient(run.gateway_url, read_token(token_file or Path(run.token_file)))


def book_of(stack: str | None, namespace: str | None) -> tuple[str, Path]:
    """The namespace, and the state folder of whoever trades in it: a stack's may be its run's own. Raises Unavailable
    for a stack that does not run."""
    root = state_dir()
    if namespace is None and (stack is not None or alive_runs(root)):
        standing = find_run(stack)
        return standing.namespace, Path(standing.state_dir)
    folders = runs_folder(root).iterdir() if runs_folder(root).is_dir() else ()
    known = {run.namespace: run for folder in folders if (run := read_run(folder)) is not None}
    last = read_run(runs_folder(root) / "default")
    chosen = namespace if namespace is not None else last.namespace if last is not None else ""
    return chosen, Path(known[chosen].state_dir) if chosen in known else root
