"""The files that `--history` names: one, those of a folder (its folders too), or those of a zip.

Nothing is unpacked to disk. What is not read is listed with the reason; what looks like a history and cannot be read is
refused where it is read.
"""

import gzip
import io
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from tradebus.history.vendors.reading import TEXT_ENDINGS
from tradebus.kernel.errors import InvalidInput, nearest

_PARQUET = (".parquet", ".pq")
_LARGEST_BYTES = 4 << 30  # of what a .gz or .zip unfolds to
# What a damaged or unknown packing ends in.
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, zlib.error)
_FILES_MAX = 20_000
_BESIDE = re.compile(r"(readme|licen[cs]e|notice|changelog)\.txt", re.IGNORECASE)
_TAKEN = ".parquet, .csv, .txt, .tsv or .json (.gz or .zip of those too)"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file, or one of a zip. `folder` is what was named, which `path` lies in or is."""

    path: Path
    member: str = ""
    folder: Path | None = None

    def __str__(self) -> str:
        """What error lines call it."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def short(self) -> str:
        """Its name within what was named."""
        own = self.path.name if self.folder in (None, self.path) else str(self.path.relative_to(self.folder or "."))
        return own if not self.member else self.member if self.folder == self.path else f"{own}/{self.member}"

    @property
    def name(self) -> str:
        """Its own name in small letters, without .gz or .zip."""
        own = PurePosixPath(self.member).name if self.member else self.path.name
        return re.sub(r"\.(gz|zip)$", "", own.lower())

    @property
    def stems(self) -> tuple[str, ...]:
        """Its name and those of the folders and zip it lies in, up to what was named, innermost first, without
        endings."""
        inside = [*PurePosixPath(self.member).parts[::-1]] if self.member else []
        outside = [self.path.name, *(part.name for part in self.path.parents)]
        deep = len(self.path.relative_to(self.folder).parts) if self.folder is not None else 0
        return tuple(_stem(one) for one in [*inside, *outside[: deep + 1]])

    @property
    def is_parquet(self) -> bool:
        return self.name.endswith(_PARQUET)

    def open(self) -> str | io.BytesIO:
        """What pyarrow reads: the path of a file, the content of a packed one."""
        is_packed = self.member or (self.is_parquet and self.path.name.lower().endswith(".gz"))
        return io.BytesIO(self.content()) if is_packed else str(self.path)

    def head(self, size: int = 512) -> bytes:
        """Its first bytes, unpacked. Raises InvalidInput where they are not to be had."""
        if self.member:
            return self.content()[:size]
        opener = gzip.open if self.path.name.lower().endswith(".gz") else open
        try:
            with opener(self.path, "rb") as packed:
                return bytes(packed.read(size))
        except _UNREADABLE as error:
            raise InvalidInput(f"history: {self} cannot be read: {_first_line(error)}") from None

    def content(self) -> bytes:
        """All of it, unpacked. Raises InvalidInput where it is not to be had."""
        try:
            packed = (
                _member(self.path, self.member, self.path.stat().st_mtime_ns) if self.member else self.path.read_bytes()
            )
            is_gzip = (self.member or self.path.name).lower().endswith(".gz")
            return _bounded(gzip.GzipFile(fileobj=io.BytesIO(packed)), self) if is_gzip else packed
        except _UNREADABLE as error:
            raise InvalidInput(f"history: {self} cannot be read: {_first_line(error)}") from None


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """What is read, and in words what is not. `is_one`: a single file was named."""

    files: tuple[SourceFile, ...]
    unused: tuple[str, ...]
    is_one: bool


def sources_of(path: Path) -> SourceFiles:
    """Raises InvalidInput where there is no such file, or nothing in it is a history."""
    _require_there(path)
    found, unused = [], []
    if path.is_dir():
        for one in _walk(path):
            if one.name.lower().endswith(".zip"):
                files, others = _of_zip(one, folder=path)
                found += files
                unused += others
            elif _is_history(one.name) and one.is_file():
                found.append(SourceFile(one, folder=path))
            else:
                unused.append(str(one.relative_to(path)))
    elif path.name.lower().endswith(".zip"):
        found, unused = _of_zip(path, folder=path)
    else:
        if not _is_named_so(path.name):
            raise InvalidInput(f"history: {path} is neither {_TAKEN}")
        return SourceFiles((SourceFile(path),), (), is_one=True)
    if not found:
        there = f"; it holds {', '.join(unused[:5])}" if unused else ""
        raise InvalidInput(f"history: {path} holds no file that is {_TAKEN}{there}")
    if len(found) > _FILES_MAX:
        raise InvalidInput(f"history: {path} holds {len(found):,} files: name a folder of at most {_FILES_MAX:,}")
    return SourceFiles(tuple(found), tuple(unused), is_one=len(found) == 1 and not path.is_dir())


def _require_there(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InvalidInput(f"history: there is no file {path}{nearest(path.name, siblings)}") from None
    except OSError as error:
        raise InvalidInput(f"history: {path} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InvalidInput(f"history: {path} is a pipe or a device: name a file")


def _walk(folder: Path) -> Iterator[Path]:
    """Every file in it, by name, and every link to a folder, which is not followed. Hidden ones are none."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        yield from (Path(where, name) for name in folders if Path(where, name).is_symlink())
        yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))


def _of_zip(path: Path, *, folder: Path) -> tuple[list[SourceFile], list[str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            there = [one for one in archive.infolist() if not one.is_dir() and not _is_hidden(one.filename)]
    except _UNREADABLE as error:
        raise InvalidInput(f"history: {path} cannot be read: {_first_line(error)}") from None
    locked = next((one.filename for one in there if one.flag_bits & 1), None)
    if locked:
        raise InvalidInput(
            f"history: {path} is locked with a password ({locked}): unpack it, and name the file or folder"
        )
    if len(there) == 1:  # whatever it is called
        return [SourceFile(path, there[0].filename, folder)], []
    found = sorted(one.filename for one in there if _is_history(one.filename))
    unused = [name for name in sorted(one.filename for one in there) if name not in set(found)]
    at = "" if folder == path else f"{path.relative_to(folder)}/"
    return [SourceFile(path, name, folder) for name in found], [f"{at}{name}" for name in unused]


def _is_hidden(member: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(member).parts)


def _is_named_so(name: str) -> bool:
    return re.sub(r"\.(gz|zip)$", "", name.lower()).endswith((*TEXT_ENDINGS, *_PARQUET))


def _is_history(name: str) -> bool:
    """Whether a file beside others is one, by its name."""
    own = PurePosixPath(name).name
    return _is_named_so(own) and not own.lower().endswith(".zip") and not _BESIDE.fullmatch(own)


@lru_cache(maxsize=1)  # a file is looked at before it is read
def _member(path: Path, member: str, changed_ns: int) -> bytes:
    with _archive(path, changed_ns).open(member) as packed:
        return _bounded(packed, f"{path}/{member}")


@lru_cache(maxsize=1)  # the list of thousands of files is read once; who comes next closes it
def _archive(path: Path, _changed_ns: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _bounded(packed: IO[bytes] | gzip.GzipFile, source: object) -> bytes:
    content = packed.read(_LARGEST_BYTES + 1)
    if len(content) > _LARGEST_BYTES:
        raise InvalidInput(f"history: {source} unfolds to more than {_LARGEST_BYTES >> 30} GiB: cut it into days")
    return content


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def _stem(name: str) -> str:
    return re.sub(r"(\.(csv|txt|tsv|json|parquet|pq))?(\.(gz|zip))?$", "", name, flags=re.IGNORECASE)
