"""Socket files beside the ports: a round trip over one costs the kernel a fraction of what loopback TCP costs it.

state_dir/sockets/  postgres/.s.PGSQL.<port>  redis/redis.sock

Each server's folder belongs to whom the server runs as, and nobody else may write there. Where root runs them, Postgres
is another user: it could put a false socket in its own folder, never in Redis's.
"""

import os
import shutil
import stat
import sys
from pathlib import Path

from tradebus.kernel.errors import Unavailable
from tradebus.runtime.embedded.folder import SystemUser, name_of

# What a socket's address may hold on the strictest system (macOS: 104 bytes, a NUL included).
_ADDRESS_BYTES_MAX = 103
_LONGEST_NAME = "/postgres/.s.PGSQL.65535"
REDIS_SOCKET = "redis.sock"
# /proc/net/tcp: the state of a listening socket, and 127.0.0.1 or every address in the machine's byte order.
_LISTENS = "0A"
_LOOPBACK = {f"{int.from_bytes(bytes([127, 0, 0, 1]), sys.byteorder):08X}", "00000000"}


def socket_folder(state_dir: Path, server: str) -> Path | None:
    """Where the socket files of `server` (postgres, redis) go; None where their paths would be too long, and ports must
    do."""
    folder = state_dir / "sockets"
    return folder / server if len(os.fsencode(f"{folder}{_LONGEST_NAME}")) <= _ADDRESS_BYTES_MAX else None


def clear_socket_folders(state_dir: Path) -> None:
    """Removes what servers that are gone have left. Only the holder of the state folder's lock may call this."""
    folder = state_dir / "sockets"
    shutil.rmtree(folder, ignore_errors=True)
    # To be passed through by whom Postgres runs as, to be written by nobody but us.
    folder.mkdir(mode=0o711)


def make_socket_folder(folder: Path, owner: SystemUser | None) -> None:
    """An empty folder that only its owner (and root) may enter."""
    folder.mkdir(mode=0o700)
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)


def require_own_socket(socket: Path, *, owner_uid: int) -> None:
    """Raises Unavailable unless the socket file, and the folder it lies in, belong to `owner_uid` alone: whoever
    connects says a password."""
    for path in (socket.parent, socket):
        try:
            found = path.lstat()
        except FileNotFoundError:
            return  # nobody listens: connecting says so
        is_kind = stat.S_ISDIR(found.st_mode) if path == socket.parent else stat.S_ISSOCK(found.st_mode)
        if not is_kind or found.st_uid != owner_uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unavailable(
                f"{path}: belongs to {name_of(found.st_uid)} or can be written by others, so a false server could "
                f"answer there; stop what {name_of(owner_uid)} runs in {socket.parents[2]}, and start it again"
            )


def require_own_port(port: int, *, owner_uid: int, table: Path = Path("/proc/net/tcp")) -> None:
    """Raises Unavailable where somebody else listens at this port of 127.0.0.1. Where the system does not say who
    listens (only Linux does), nothing is raised."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return
    for row in rows:
        address, _, listens_at = row[1].partition(":")
        if row[3] == _LISTENS and int(listens_at, 16) == port and address in _LOOPBACK and int(row[7]) != owner_uid:
            raise Unavailable(
                f"127.0.0.1:{port}: {name_of(int(row[7]))} listens there, not {name_of(owner_uid)}'s server; end that"
            )
