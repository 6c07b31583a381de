"""The files of a spool: a folder per process, locked for as long as it lives, and in it numbered files of lines.

    <folder>/NAME.ID/ lock · 000001.jsonl · 000002.jsonl …
        {"sent": {…}}                  before a request leaves
        {"ended": {…}}                 its reply, or what came of it
        {"carried": {…}}               it is still under way and is said again in a later file
        {"whole": {…}}                 both at once

So each file can be read alone. A line is written with one call and without waiting for the disk: what a process wrote
is there however it dies; the last second may be lost with the machine's power.
"""

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from tradebus.audit.exchange import BrokerExchange

_log = structlog.get_logger()


class SpoolFiles:
    """Of one process; nothing is on the disk before the first line. Not for several threads at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None
        self._file: int | None = None
        self._number = 0
        self._sizes: dict[Path, int] = {}
        self._is_closed = False

    @property
    def size(self) -> int:
        """Of the file that is written to, in bytes; 0 where there is none."""
        return self._sizes.get(self.path, 0) if self._file is not None else 0

    @property
    def waiting_bytes(self) -> int:
        """Of all files that were not removed."""
        return sum(self._sizes.values())

    @property
    def path(self) -> Path:
        """The file that is written to, or was last."""
        return self.folder / f"{self._number:06d}.jsonl"

    def write(self, kind: str, what: Mapping[str, Any]) -> None:
        """Raises OSError where the disk does not take the line; the file is closed then, for the line may be half."""
        line = _line(kind, what)
        descriptor = self._opened()
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(None, "the disk is full")
        except OSError:
            self.close_file([])
            raise
        self._sizes[self.path] = self._sizes.get(self.path, 0) + len(line)

    def close_file(self, carried: Sequence[BrokerExchange]) -> Sequence[BrokerExchange]:
        """Goes on in the next file, in which those still under way are said again. Returns those that the disk did not
        take."""
        if self._file is None:
            return []
        before, self._file = self._file, None
        try:
            for number, exchange in enumerate(carried):
                try:
                    self.write("sent", sent_fields(exchange))
                except OSError:
                    return carried[number:]
                # Only now: whoever dies between the two leaves it in both, and the book takes one.
                os.write(before, _line("carried", {"exchange_id": exchange.exchange_id}))
            return []
        finally:
            os.close(before)

    def closed_files(self) -> list[Path]:
        """Those nobody writes to any more, in order."""
        return [path for path in self._sizes if self._file is None or path != self.path]

    def remove(self, path: Path) -> None:
        """It is not needed any more."""
        path.unlink(missing_ok=True)
        self._sizes.pop(path, None)

    def close(self) -> None:
        """Lets the folder go, and removes it where nothing is in it."""
        self._is_closed = True
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
            remove_folder(self.folder)

    def _opened(self) -> int:
        if self._file is None:
            if self._is_closed:
                raise OSError(None, "the spool is closed")
            if self._lock is None:
                self._make_folder()
            self._number += 1
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._sizes[self.path] = 0
        return self._file

    def _make_folder(self) -> None:
        """Locked before it has its name: nobody takes it for one that was left behind."""
        draft = self.folder.with_name(f".{self.folder.name}")
        draft.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(draft / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.folder)
        except OSError:
            os.close(lock)
            raise
        self._lock = lock


def sent_fields(exchange: BrokerExchange) -> dict[str, Any]:
    """What is known before the request leaves."""
    names = ("account", "exchange_id", "sent_by", "method", "url", "body", "sent_at", "session_id", "pos_id")
    return {name: getattr(exchange, name) for name in names}


def exchanges_in(path: Path) -> list[BrokerExchange]:
    """What a file says of requests that are said in no later one. Whatever cannot be read is left out, and told."""
    found: dict[str, BrokerExchange] = {}
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        _log.error("audit: a file of the spool cannot be read", file=str(path), error=str(error))
        return []
    for line in lines:
        try:
            [(kind, what)] = json.loads(line).items()
            number = what.pop("exchange_id")
            if kind in ("sent", "whole"):
                found.setdefault(number, BrokerExchange(exchange_id=number, **what))
            elif kind == "ended" and number in found:
                found[number] = replace(found[number], **what)
            elif kind == "carried":
                found.pop(number, None)
        except (ValueError, TypeError, AttributeError, KeyError):
            # Half a line is what its process died in.
            _log.warning("audit: a line of the spool cannot be read", file=str(path), size_bytes=len(line))
    return list(found.values())


def lock_left_behind(folder: Path) -> int | None:
    """The lock of a process's folder, None while that process lives."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def remove_folder(folder: Path) -> None:
    """A process's folder, where no file of lines is in it."""
    if not any(folder.glob("*.jsonl")):
        (folder / "lock").unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError as error:
            _log.warning("audit: a folder of the spool stays", folder=str(folder), error=str(error))


def _line(kind: str, what: Mapping[str, Any]) -> bytes:
    return json.dumps({kind: what}, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
