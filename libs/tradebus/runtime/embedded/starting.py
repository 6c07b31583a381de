"""Starting the servers of a folder whose lock we have, and ending them."""

import json
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from time import sleep

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.rng import seed_for
from tradebus.runtime.embedded.folder import FolderLock, read_json, write_private
from tradebus.runtime.embedded.holding import seats_file
from tradebus.runtime.embedded.keeping import Keeping
from tradebus.runtime.embedded.local import is_free
from tradebus.runtime.embedded.logs import new_log, telling_line
from tradebus.runtime.embedded.postgres import Postgres
from tradebus.runtime.embedded.redis import Redis
from tradebus.runtime.embedded.sockets import clear_socket_folders

# Long: after a crash Postgres replays its log and Redis its file before they answer.
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.005
# Below what systems hand out for outgoing connections: those could sit on the port of a server that restarts, and a
# client that tries to reach it could even be connected to itself.
_PORTS = range(20_000, 30_000)


@dataclass(frozen=True, slots=True)
class ServerUrls:
    """Where the servers are: by port for everybody, by socket file, where there are any, for services beside them.
    All carry a password: `repr` leaves them out.

    `starter_pid` is the process that has started them, which may be gone while others hold them; 0 where none of ours
    did.
    """

    database_url: str
    redis_url: str
    database_socket_url: str = ""
    redis_socket_url: str = ""
    starter_pid: int = field(default=0, compare=False)

    @property
    def for_services(self) -> "ServerUrls":
        """The quickest way to each of them from this machine."""
        return ServerUrls(self.database_socket_url or self.database_url, self.redis_socket_url or self.redis_url)

    def __repr__(self) -> str:
        return "ServerUrls(…)"


@dataclass(frozen=True, slots=True)
class ServerChoice:
    """Which servers, and a folder with other Postgres programs than the wheel's."""

    postgres: bool
    redis: bool
    postgres_bin: Path | None


def announcement(state_dir: Path) -> Path:
    """Where it is said, to who may read it, how the servers that run are reached."""
    return state_dir / "servers.json"


class StartedServers:
    """The servers of a folder, under a keeper of ours. They answer once this is made."""

    def __init__(
        self,
        state_dir: Path,
        lock: FolderLock,
        wanted: ServerChoice,
        *,
        same_addresses: bool = False,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Owns the lock, also where it raises Unavailable: a server does not start, or `given_up` says so, or they
        cannot have the `same_addresses` as before."""
        with ExitStack() as undo:
            undo.callback(lock.close)
            self._said = announcement(state_dir)
            self._said.unlink(missing_ok=True)  # of a run that was killed: these do not answer yet
            servers, self.urls = _configure(state_dir, wanted, same_addresses=same_addresses)
            clear_socket_folders(state_dir)
            for server in servers:
                server.prepare()
                new_log(server.log)
            keeper_log = state_dir / "logs" / "keeper.log"
            new_log(keeper_log)
            self._kept = Keeping(
                [server.command() for server in servers],
                lock_descriptor=lock.descriptor, seats=seats_file(state_dir), log=keeper_log,
            )  # fmt: skip
            undo.callback(self._kept.stop)
            _wait_ready(servers, self._kept, given_up)
            write_private(self._said, json.dumps(asdict(self.urls)))
            self._kept.servers_answered()
            undo.pop_all()
        self._lock = lock

    def stop(self) -> None:
        """Lets go of them; where nobody else has a seat they are ended, and gone on return."""
        if self._kept.stop():
            self._said.unlink(missing_ok=True)
        self._lock.close()


def _configure(
    state_dir: Path, wanted: ServerChoice, *, same_addresses: bool
) -> tuple[list[Postgres | Redis], ServerUrls]:
    """The servers wanted, with the passwords and, where they are free, the ports this folder had before."""
    (state_dir / "logs").mkdir(mode=0o700, exist_ok=True)
    kept = state_dir / "access.json"
    known = read_json(kept)
    known_ports = [int(known.get("postgres_port", 0)), int(known.get("redis_port", 0))]
    ports = _free_ports(state_dir, known_ports)
    if same_addresses and ports != known_ports:
        taken = next(old for old, new in zip(known_ports, ports, strict=True) if old != new)
        raise Unavailable(f"127.0.0.1:{taken}: somebody else listens there now; end that")
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
    if wanted.postgres:
        password = str(access["postgres_password"])
        postgres = Postgres(state_dir, bin_dir=wanted.postgres_bin, port=ports[0], password=password)
        servers.append(postgres)
        postgres_urls = (postgres.url, postgres.socket_url)
    if wanted.redis:
        redis = Redis(state_dir, port=ports[1], password=str(access["redis_password"]))
        servers.append(redis)
        redis_urls = (redis.url, redis.socket_url)
    return servers, ServerUrls(postgres_urls[0], redis_urls[0], postgres_urls[1], redis_urls[1], os.getpid())


def _wait_ready(servers: Sequence[Postgres | Redis], kept: Keeping, given_up: Callable[[], bool]) -> None:
    give_up_ns = monotonic_ns() + int(_READY_SECONDS * 1e9)
    waiting = list(servers)
    while waiting := [server for server in waiting if not server.is_ready()]:
        if kept.has_ended or monotonic_ns() > give_up_ns or given_up():
            server = waiting[0]
            reason = telling_line(server.log.read_text(errors="replace"))
            raise Unavailable(f"{server.NAME} did not start: {reason} (log: {server.log})")
        sleep(_POLL_SECONDS)


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
