"""Postgres' programs where the user that Postgres runs as can read them.

A virtual environment may lie in root's home. Opening the way to it would let everybody pass; a copy in the state folder
lets Postgres read its own programs and nothing else.
"""

import os
import shutil
import stat
from hashlib import sha256
from pathlib import Path

from tradebus.runtime.embedded.folder import SystemUser, closed_folder_above, require_passable


def reachable_programs(bin_dir: Path, user: SystemUser, *, keep_in: Path) -> Path:
    """`bin_dir` where `user` may run it, else the same folder of a copy in `keep_in`; copies of other versions go.

    Only the holder of the state folder's lock may call this. Raises Unavailable where the copy is out of reach too.
    """
    program = bin_dir / "postgres"
    told = program.stat()
    if closed_folder_above(program, user) is None and told.st_mode & stat.S_IXOTH:
        return bin_dir
    copy = keep_in / sha256(f"{program} {told.st_size} {told.st_mtime_ns}".encode()).hexdigest()[:16]
    # …/site-packages/{package/installation/bin, package.libs}: the programs look for libraries by this way.
    installation, package = bin_dir.parent, bin_dir.parents[1]
    if not copy.exists():
        shutil.rmtree(keep_in, ignore_errors=True)
        partial = keep_in / f"{copy.name}.partial"
        for part in ("bin", "lib", "share"):
            if (installation / part).is_dir():
                shutil.copytree(installation / part, partial / package.name / installation.name / part, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name)
        _open_for_reading(keep_in)
        partial.rename(copy)
    copied = copy / package.name / installation.name / bin_dir.name
    require_passable(copied / "postgres", user)
    return copied


def _open_for_reading(root: Path) -> None:
    """Files of a private environment may be readable by their owner only; these are a published package's."""
    for folder, _, files in os.walk(root):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
