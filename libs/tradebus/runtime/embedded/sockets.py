"""Socket files beside the ports: a round trip over one costs the kernel a fraction of what loopback TCP costs it.

state_dir/sockets/  .s.PGSQL.<port>  redis.sock
"""

import os
import shutil
from pathlib import Path

from tradebus.runtime.embedded.folder import SystemUser

# What a socket's address may hold on the strictest system (macOS: 104 bytes, a NUL included).
_ADDRESS_BYTES_MAX = 103
_LONGEST_NAME = "/.s.PGSQL.65535"


def socket_folder(state_dir: Path) -> Path | None:
    """Where this folder's socket files go; None where their paths would be too long, and ports must do."""
    folder = state_dir / "sockets"
    return folder if len(os.fsencode(f"{folder}{_LONGEST_NAME}")) <= _ADDRESS_BYTES_MAX else None


def make_socket_folder(folder: Path, owner: SystemUser | None) -> None:
    """An empty folder that only its owner (and root) may enter. Only the holder of the state folder's lock may call
    this: what lies there is of servers that are gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if owner is not None:
        os.chown(folder, owner.uid, owner.gid)
