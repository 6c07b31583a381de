"""The state folder: where it is, who may have it, and whose system user the Postgres data belongs to.

state_dir/  lock  seats  servers.json  access.json  postgres/  redis/  logs/  sockets/  programs/

Nobody but its owner and root may be able to put anything there, or another folder in its place: passwords are said to
what is found in it. No permission of a folder above it is ever changed.
"""

import fcntl
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tradebus.kernel.errors import Unavailable

# What tradebus keeps in its state folder, the parts of files that are being written left out.
_OURS = {
    "lock", "seats", "servers.json", "access.json", "postgres", "postgres.partial", "postgres.password", "redis",
    "logs", "sockets", "programs", "runs", "api_token", ".killswitch", "credentials", "credentials.key", "closing_out",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SystemUser:
    """Whom Postgres runs as where we are root, which it refuses to be."""

    uid: int
    gid: int


class FolderLock:
    """An exclusive flock on `state_dir/lock`. Child processes that inherit `descriptor` hold it too."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "lock"
        self.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def try_acquire(self) -> bool:
        """Takes the folder where nobody has it."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, str(os.getpid()).encode(), 0)
        return True

    def is_taken(self) -> bool:
        """Whether somebody runs servers here now."""
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        return False

    def owner(self) -> int:
        """The process that took the folder last; 0 where none ever did."""
        text = os.pread(self.descriptor, 32, 0)
        return int(text) if text.isdigit() else 0

    def close(self) -> None:
        """Lets go, as far as this process is concerned."""
        os.close(self.descriptor)

    def leftovers(self) -> str:
        """What to look for where the servers' processes are to be ended by hand."""
        try:
            pid = (self._path.parent / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0]
        except OSError:
            return "postgres, valkey-server"
        return f"postgres has process {pid}; look for valkey-server too"


def make_state_dir(state_dir: Path) -> Path:
    """The folder, made where it is missing, closed to others, as an absolute path without links.

    Raises Unavailable where it cannot be made, and where somebody else could change what lies in it.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        if not os.access(state_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise Unavailable(
            f"{state_dir}: cannot keep state here ({error.strerror}); name another folder with TRADEBUS_STATE_DIR"
        ) from error
    found = state_dir.resolve()
    for folder in (found, *found.parents):
        _require_out_of_reach(folder, state_dir=found)
    if os.geteuid() == 0 and {entry.name for entry in found.iterdir()} <= _OURS:
        # Nothing but ours lies there, so it is nobody's home: Postgres, as another user, passes through to its data.
        found.chmod(stat.S_IMODE(found.stat().st_mode) | stat.S_IXOTH)
    return found


def _require_out_of_reach(folder: Path, *, state_dir: Path) -> None:
    told = folder.stat()
    if told.st_uid not in (0, os.geteuid()):
        whose = f"belongs to {name_of(told.st_uid)}"
    elif told.st_mode & stat.S_IWOTH and not told.st_mode & stat.S_ISVTX:
        whose = "can be written by everybody"
    else:
        return
    raise Unavailable(
        f"{folder}: {whose}, who could put false servers where yours are ({state_dir}); "
        "run as that user, or name another folder with TRADEBUS_STATE_DIR"
    )


def system_user(data_dir: Path) -> SystemUser | None:
    """Whom to run Postgres as; None for "as we are". An existing cluster keeps its owner."""
    if os.geteuid() != 0:
        return None
    import pwd

    if data_dir.exists() and data_dir.stat().st_uid != 0:
        owner = data_dir.stat()
        return SystemUser(uid=owner.st_uid, gid=owner.st_gid)
    for name in ("pgserver", "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return SystemUser(uid=entry.pw_uid, gid=entry.pw_gid)
    raise Unavailable("Postgres refuses to run as root and this machine has no user 'postgres' or 'nobody': add one")


def name_of(uid: int) -> str:
    """A user for an error text."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def closed_folder_above(path: Path, user: SystemUser) -> Path | None:
    """The first folder on the way to `path` that this user may not pass through; None where there is none."""
    for parent in reversed(path.parents):
        found = parent.stat()
        may_pass = (
            stat.S_IXUSR if found.st_uid == user.uid else stat.S_IXGRP if found.st_gid == user.gid else stat.S_IXOTH
        )
        if not found.st_mode & may_pass:
            return parent
    return None


def require_passable(path: Path, user: SystemUser) -> None:
    """Raises Unavailable where Postgres, as this user, cannot reach its files."""
    closed = closed_folder_above(path, user)
    if closed is not None:
        raise Unavailable(
            f"{closed}: {name_of(user.uid)}, whom Postgres runs as, may not pass through it to {path}; "
            f"name a folder outside it with TRADEBUS_STATE_DIR (a folder of your own may be opened: chmod o+x)"
        )


def write_private(path: Path, text: str) -> None:
    """Replaces a file that only its owner may read, atomically."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file of ours; empty where there is none."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}
