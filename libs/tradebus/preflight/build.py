"""Which build of tradebus this is: a changed source or rule file is another one, though the version is the same."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_PACKAGES, _KINDS = ("tradebus", "services"), (".py", ".sql", ".json", ".csv")


@cache
def build_name() -> str:
    """The version and the first digits of a digest over the sources that this process runs: "0.1.0+3f9a0c2b7d14"."""
    digest = hashlib.blake2b(digest_size=6)
    for package in _PACKAGES:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec is not None else ():
            _add(digest, package, Path(folder))
    return f"{version('tradebus')}+{digest.hexdigest()}"


def _add(digest: "hashlib.blake2b", package: str, folder: Path) -> None:
    for path in sorted(one for one in folder.rglob("*") if one.suffix in _KINDS):
        digest.update(f"{package}/{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
