"""Holding the embedded servers, and finding those that run."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from time import sleep
from types import TracebackType
from urllib.parse import urlsplit

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded.folder import FolderLock, make_state_dir, read_json
from tradebus.runtime.embedded.holding import Seat, Succession
from tradebus.runtime.embedded.local import is_alive
from tradebus.runtime.embedded.sockets import REDIS_SOCKET, require_own_port, require_own_socket, socket_folder
from tradebus.runtime.embedded.starting import ServerChoice, ServerUrls, StartedServers, announcement

# How long another's servers may take to answer: it may have to make the cluster first. What a process has left that is
# gone has less time to end.
_OTHERS_READY_SECONDS = 150.0
_LEFTOVERS_SECONDS = 20.0
_POLL_SECONDS = 0.02
_ADDRESSES = ("database_url", "redis_url", "database_socket_url", "redis_socket_url")


class EmbeddedServers:
    """Postgres and Redis in one folder, from start() to stop() or to the end of this process: started here, or shared
    with whoever runs them there already. They end when the last who holds them lets go, whoever started them.

    `postgres` and `redis` say which of them to run; the URL of the other is "". `postgres_bin` is a folder with other
    Postgres programs than the wheel's.
    """

    def __init__(
        self, state_dir: Path, *, postgres: bool = True, redis: bool = True, postgres_bin: Path | None = None
    ) -> None:
        self._state_dir = state_dir
        self._wanted = ServerChoice(postgres, redis, postgres_bin)
        self._is_held = False
        self._ours: StartedServers | None = None
        self._running = ExitStack()

    def start(self) -> ServerUrls:
        """Returns once both answer. Raises Unavailable in one line: a server does not start, or what another process
        runs in the folder is not all that is wanted."""
        if self._is_held:
            raise RuntimeError("already started")
        try:
            return self._start()
        except PermissionError as error:
            raise Unavailable(
                f"{error.filename or self._state_dir}: belongs to another user; "
                "run as that user, or name another folder with TRADEBUS_STATE_DIR"
            ) from error

    def stop(self) -> None:
        """Lets go of them. Where nobody else holds them they end; those that were started here are gone on return. Does
        nothing where they are not held."""
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
            undo.callback(self._end)
            seat = Seat(state_dir)
            undo.callback(seat.leave)
            found = _lock_or_servers(state_dir)
            if isinstance(found, FolderLock):
                self._ours = StartedServers(state_dir, found, self._wanted)
                urls = self._ours.urls
            else:
                urls = found
                _require(self._wanted, urls, state_dir)
                succession = Succession(state_dir, self._successor(state_dir, urls))
                undo.callback(succession.stop)
            undo.callback(seat.leave)  # the first thing then: our keeper is to find whoever sits there besides us
            self._running, self._is_held = undo.pop_all(), True
        return urls

    def _successor(self, state_dir: Path, urls: ServerUrls) -> Callable[[FolderLock, Callable[[], bool]], None]:
        """Starts what had run before, at the addresses that everybody has been told."""
        same = replace(self._wanted, postgres=bool(urls.database_url), redis=bool(urls.redis_url))

        def take_over(lock: FolderLock, given_up: Callable[[], bool]) -> None:
            self._ours = StartedServers(state_dir, lock, same, same_addresses=True, given_up=given_up)

        return take_over

    def _end(self) -> None:
        ours, self._ours, self._is_held = self._ours, None, False
        if ours is not None:
            ours.stop()


def _lock_or_servers(state_dir: Path) -> FolderLock | ServerUrls:
    """The folder's lock where nobody runs servers there, else theirs, once they answer. Raises Unavailable
    where they do not, naming the process that has the folder and what to do."""
    lock = FolderLock(state_dir)
    began_ns = monotonic_ns()
    while not lock.try_acquire():
        try:
            if (urls := running_servers(state_dir)) is not None:
                lock.close()
                return urls
            _require_hope(lock, state_dir, waited_seconds=(monotonic_ns() - began_ns) / 1e9)
        except Unavailable:
            lock.close()
            raise
        sleep(_POLL_SECONDS)
    return lock


def _require_hope(lock: FolderLock, state_dir: Path, *, waited_seconds: float) -> None:
    starter_pid = lock.owner()
    if not is_alive(starter_pid):
        if waited_seconds > _LEFTOVERS_SECONDS:
            raise Unavailable(
                f"{state_dir}: servers left by process {starter_pid}, which is gone, still hold this folder; "
                f"end them ({lock.leftovers()}) and try again"
            )
    elif waited_seconds > _OTHERS_READY_SECONDS:
        raise Unavailable(
            f"{state_dir}: process {starter_pid} starts its servers here, and they do not answer; "
            "stop it, or name another folder with TRADEBUS_STATE_DIR"
        )


def _require(wanted: ServerChoice, urls: ServerUrls, state_dir: Path) -> None:
    missing = [
        name for name, asked, url in (
            ("Postgres", wanted.postgres, urls.database_url), ("Redis", wanted.redis, urls.redis_url)
        ) if asked and not url
    ]  # fmt: skip
    if missing:
        raise Unavailable(
            f"{state_dir}: process {urls.starter_pid} already runs its servers here, without {missing[0]}; "
            "stop it, or name another folder with TRADEBUS_STATE_DIR"
        )


def running_servers(state_dir: Path) -> ServerUrls | None:
    """The servers another process runs in this folder now, None where none does.

    Raises Unavailable where somebody else than who runs them could answer in Redis' place, and be told its password.
    """
    if not (state_dir / "lock").exists():
        return None
    lock = FolderLock(state_dir)
    try:
        said = read_json(announcement(state_dir)) if lock.is_taken() else {}
    finally:
        lock.close()
    if not said:
        return None
    urls = ServerUrls(
        **{name: str(said.get(name, "")) for name in _ADDRESSES}, starter_pid=int(said.get("starter_pid", 0))
    )
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
            starter_pid=urls.starter_pid,
        )
