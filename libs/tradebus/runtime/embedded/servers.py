"""Starting and stopping the embedded servers, and finding those that run."""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from time import sleep
from types import TracebackType
from urllib.parse import urlsplit

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.rng import seed_for
from tradebus.runtime.embedded.folder import FolderLock, make_state_dir, read_json, write_private
from tradebus.runtime.embedded.keeping import Keeping
from tradebus.runtime.embedded.local import is_free
from tradebus.runtime.embedded.logs import new_log, telling_line
from tradebus.runtime.embedded.postgres import Postgres
from tradebus.runtime.embedded.redis import Redis
from tradebus.runtime.embedded.sockets import (
    REDIS_SOCKET,
    clear_socket_folders,
    require_own_port,
    require_own_socket,
    socket_folder,
)

# Long: after a crash Postgres replays its log and Redis its file before they answer.
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.005
# Below what systems hand out for outgoing connections: those could sit on the port of a server that restarts, and a
# client that tries to reach it could even be connected to itself.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """Where the servers are: by port for everybody, by socket file, where there are any, for services beside them.
    All carry a password: `repr` leaves them out."""

    database_url: str
    redis_url: str
    database_socket_url: str = ""
    redis_socket_url: str = ""

    @property
    def for_services(self) -> "ServerUrls":
        """The quickest way to each of them from this machine."""
        return ServerUrls(self.database_socket_url or self.database_url, self.redis_socket_url or self.redis_url)

    def __repr__(self) -> str:
        return "ServerUrls(…)"


class EmbeddedServers:
    """Postgres and Redis in one folder, from start() to stop() or to the end of this process.

    `postgres` and `redis` say which of them to run; the URL of the other is "". `postgres_bin` is a folder with other
    Postgres programs than the wheel's.
    """

    def __init__(
        self, state_dir: Path, *, postgres: bool = True, redis: bool = True, postgres_bin: Path | None = None
    ) -> None:
        self._state_dir = state_dir
        self._wants_postgres = postgres
        self._wants_redis = redis
        self._postgres_bin = postgres_bin
        self._started = False
        self._running = ExitStack()

    def start(self) -> ServerUrls:
        """Returns once both answer. Raises Unavailable in one line: the folder is taken, or a server does not start."""
        if self._started:
            raise RuntimeError("already started")
        try:
            return self._start()
        except PermissionError as error:
            raise Unavailable(
                f"{error.filename or self._state_dir}: belongs to another user; "
                "run as that user, or name another folder with TRADEBUS_STATE_DIR"
            ) from error

    def stop(self) -> None:
        """Ends both in order and frees the folder. Does nothing where they do not run."""
        self._running.close()

    def __enter__(self) -> ServerUrls:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> ServerUrls:
        with ExitStack() as undo:
            state_dir = make_state_dir(self._state_dir)
            lock = FolderLock(state_dir)
            undo.callback(lock.close)
            lock.acquire()
            servers, urls = self._configure(state_dir)
            clear_socket_folders(state_dir)
            for server in servers:
                server.prepare()
                new_log(server.log)
            kept = Keeping([server.command() for server in servers], lock_descriptor=lock.descriptor)
            undo.callback(kept.stop)
            _wait_ready(servers, kept)
            said = state_dir / "servers.json"
            write_private(said, json.dumps(asdict(urls)))
            undo.callback(said.unlink, missing_ok=True)
            undo.callback(setattr, self, "_started", False)
            self._started = True
            self._running = undo.pop_all()
        return urls

    def _configure(self, state_dir: Path) -> tuple[list[Postgres | Redis], ServerUrls]:
        """The servers wanted, with the passwords and, where they are free, the ports this folder had before."""
        (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        kept = state_dir / "access.json"
        known = read_json(kept)
        ports = _free_ports(state_dir, [int(known.get("postgres_port", 0)), int(known.get("redis_port", 0))])
        access = {
            "postgres_password": known.get("postgres_password") or secrets.token_urlsafe(24),
            "redis_password": known.get("redis_password") or secrets.token_urlsafe(24),
            "postgres_port": ports[0],
            "redis_port": ports[1],
        }
        if access != known:
            write_private(kept, json.dumps(access))
        servers: list[Postgres | Redis] = []
        postgres_urls = redis_urls = ("", "")
        if self._wants_postgres:
            password = str(access["postgres_password"])
            postgres = Postgres(state_dir, bin_dir=self._postgres_bin, port=ports[0], password=password)
            servers.append(postgres)
            postgres_urls = (postgres.url, postgres.socket_url)
        if self._wants_redis:
            redis = Redis(state_dir, port=ports[1], password=str(access["redis_password"]))
            servers.append(redis)
            redis_urls = (redis.url, redis.socket_url)
        return servers, ServerUrls(postgres_urls[0], redis_urls[0], postgres_urls[1], redis_urls[1])


def running_servers(state_dir: Path) -> ServerUrls | None:
    """The servers another process runs in this folder now, None where none does.

    Raises Unavailable where somebody else than who runs them could answer in Redis' place, and be told its password.
    """
    if not (state_dir / "lock").exists():
        return None
    lock = FolderLock(state_dir)
    try:
        said = read_json(state_dir / "servers.json") if lock.is_taken() else {}
    finally:
        lock.close()
    if not said:
        return None
    urls = ServerUrls(**{name: str(said.get(name, "")) for name in (field.name for field in fields(ServerUrls))})
    folder, owner_uid = socket_folder(state_dir.resolve(), "redis"), (state_dir / "lock").stat().st_uid
    if folder is not None and urls.redis_socket_url:
        require_own_socket(folder / REDIS_SOCKET, owner_uid=owner_uid)
    elif urls.redis_url:
        require_own_port(urlsplit(urls.redis_url).port or 0, owner_uid=owner_uid)
    return urls


@contextmanager
def servers_from_environment(state_dir: Path) -> Iterator[ServerUrls]:
    """DATABASE_URL and REDIS_URL (or the files DATABASE_URL_FILE, REDIS_URL_FILE name); embeds what is not set."""
    from tradebus.config.settings import secrets_from_files  # here: the settings library is slow to import

    given = {**os.environ, **secrets_from_files(os.environ)}
    database_url, redis_url = given.get("DATABASE_URL", ""), given.get("REDIS_URL", "")
    if database_url and redis_url:
        yield ServerUrls(database_url=database_url, redis_url=redis_url)
        return
    with EmbeddedServers(state_dir, postgres=not database_url, redis=not redis_url) as urls:
        yield ServerUrls(
            database_url=database_url or urls.database_url,
            redis_url=redis_url or urls.redis_url,
            database_socket_url=database_url or urls.database_socket_url,
            redis_socket_url=redis_url or urls.redis_socket_url,
        )


def _wait_ready(servers: Sequence[Postgres | Redis], kept: Keeping) -> None:
    give_up_ns = monotonic_ns() + int(_READY_SECONDS * 1e9)
    waiting = list(servers)
    while waiting := [server for server in waiting if not server.is_ready()]:
        if kept.has_ended or monotonic_ns() > give_up_ns:
            server = waiting[0]
            reason = telling_line(server.log.read_text(errors="replace"))
            raise Unavailable(f"{server.NAME} did not start: {reason} (log: {server.log})")
        sleep(_POLL_SECONDS)
    kept.servers_answered()


def _free_ports(state_dir: Path, preferred: Sequence[int]) -> list[int]:
    """Each preferred port where it is free, so that addresses outlive a restart; the folder's next free one else."""
    first = seed_for(0, "port", str(state_dir)) % len(_PORTS)
    found: list[int] = []
    for wanted in preferred:
        candidates = chain([wanted] if wanted else [], _PORTS[first:], _PORTS[:first])
        port = next((port for port in candidates if port not in found and is_free(port)), None)
        if port is None:
            raise Unavailable(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} on 127.0.0.1: end some servers")
        found.append(port)
    return found
