"""Who closes a broker account out beside execution, and which exits were sent for it: a file per login.

    <state>/closing_out/BROKER:LOGIN     a line of JSON per exit, written before it leaves; locked as long as it is done

Execution and `tradebus kill` know each other through it when everything else is dead: while the lock is held execution
sends nothing for the account, and afterwards it finds the exits by the tags that stand there. Invariant (tested): what
was written is read, whatever else is in the file; one holds the lock at a time, and a process that dies lets it go.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tradebus.kernel.errors import InvalidInput

FOLDER = "closing_out"


@dataclass(frozen=True, slots=True)
class SentExit:
    """An exit that may have left. `segment` and `token` are the broker's words for the instrument, `quantity` units,
    `at_ns` the machine's time."""

    tag: str
    segment: str
    token: str
    transaction: str
    quantity: int
    at_ns: int


class ClosingJournal:
    """Of one login. Reading makes nothing; taking makes folder and file."""

    def __init__(self, state_dir: Path, *, broker: str, login: str) -> None:
        self._path = state_dir / FOLDER / f"{broker}:{login}"
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Locks the account for whoever closes it out; False where somebody does already. Raises InvalidInput where
        the file cannot be made."""
        if self._descriptor is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise InvalidInput(f"{self._path}: cannot be made: {error.strerror}") from error
        if not _locked(descriptor):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Lets the account go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, sent: SentExit) -> None:
        """Makes an exit last before it leaves. Raises InvalidInput where it cannot."""
        if self._descriptor is None:
            raise InvalidInput(f"{self._path}: is not taken")
        try:
            os.write(self._descriptor, (json.dumps(asdict(sent)) + "\n").encode())
            os.fsync(self._descriptor)
        except OSError as error:
            raise InvalidInput(f"{self._path}: cannot be written: {error.strerror}") from error

    def read(self) -> Sequence[SentExit]:
        """Every exit that was written, in order; a line that is none, or half of one, is left out."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InvalidInput(f"{self._path}: cannot be read: {error.strerror}") from error
        return [found for line in lines if (found := _sent(line)) is not None]

    @property
    def size(self) -> int:
        """Of the file in bytes: it only grows. 0 where there is none."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def is_taken(self) -> bool:
        """Whether somebody closes the account out right now: somebody else, or this object itself."""
        if self._descriptor is not None:
            return True
        try:
            descriptor = os.open(self._path, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sent(line: bytes) -> SentExit | None:
    try:
        found = SentExit(**json.loads(line))
    except (ValueError, TypeError):
        return None
    return found if isinstance(found.tag, str) and isinstance(found.quantity, int) else None
