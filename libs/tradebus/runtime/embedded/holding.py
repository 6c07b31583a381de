"""Who needs the servers: every holder has a seat, and who is left takes over servers that end under it.

seats   a shared lock per holder, gone with its process. The keeper ends the servers once it has them to itself.
lock    exclusive: the servers, their keeper and who started them. Free: they are gone, all of them.
"""

import fcntl
import functools
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import sleep

from tradebus.kernel.clock import monotonic_ns
from tradebus.kernel.errors import TradebusError, Unavailable
from tradebus.runtime.embedded.folder import FolderLock

_log = logging.getLogger("tradebus.embedded")
# Longer than a keeper takes that ends its servers: it kills them after 25 s.
_SEAT_SECONDS = 40.0
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.5
# The descriptors of this process's seats: a forked child that outlives it must not sit there in its place.
_taken: set[int] = set()


def seats_file(state_dir: Path) -> Path:
    return state_dir / "seats"


class Seat:
    """As long as this process has it, the servers of the folder are not ended."""

    def __init__(self, state_dir: Path) -> None:
        """Waits while servers that nobody needed any more are being ended. Raises Unavailable where that takes too
        long."""
        _leave_in_children()
        self._has_left = False
        self._descriptor = os.open(seats_file(state_dir), os.O_RDWR | os.O_CREAT, 0o600)
        _taken.add(self._descriptor)
        give_up_ns = monotonic_ns() + int(_SEAT_SECONDS * 1e9)
        while not self._sit():
            if monotonic_ns() > give_up_ns:
                self.leave()
                raise Unavailable(f"{state_dir}: servers that were told to end are still there; try again")
            sleep(_POLL_SECONDS)

    def leave(self) -> None:
        """Does nothing the second time, and nothing in a forked child, which has no seat."""
        if not self._has_left and self._descriptor in _taken:
            self._has_left = True
            _taken.discard(self._descriptor)
            os.close(self._descriptor)

    def _sit(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@functools.cache
def _leave_in_children() -> None:
    def leave() -> None:
        for descriptor in _taken:
            os.close(descriptor)
        _taken.clear()

    os.register_at_fork(after_in_child=leave)


class Succession:
    """Watches servers that another process has started, and starts them again once they and their keeper are gone.

    `take_over` gets the folder's lock, which is its from then on, and whom to ask whether it is wanted no more. Where
    it raises TradebusError or OSError it is called again.
    """

    def __init__(self, state_dir: Path, take_over: Callable[[FolderLock, Callable[[], bool]], None]) -> None:
        self._state_dir = state_dir
        self._take_over = take_over
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="embedded-succession", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when no take-over is under way any more."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                if self._succeed():
                    return
            except (TradebusError, OSError) as error:
                _log.error("the embedded servers cannot be started again (%s); trying further", error)

    def _succeed(self) -> bool:
        lock = FolderLock(self._state_dir)
        if not lock.try_acquire():
            lock.close()
            return False
        _log.error("the embedded servers in %s are gone with who ran them; starting them again", self._state_dir)
        self._take_over(lock, self._stopping.is_set)
        return True
