"""The keeper process, from this side: started, told, ended, and started again should it be killed."""

import json
import logging
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tradebus.runtime.embedded import keeper

_log = logging.getLogger("tradebus.embedded")
_ANSWERED = b"!"
_STOP_SECONDS = 40.0
# Between two starts: where it dies at once, something is wrong that another start a moment later does not mend.
_PAUSE_SECONDS = 1.0


class Keeping:
    """A keeper that runs these servers until `stop`, or until this process ends, and then for whoever else has a seat.

    `commands`: what each of them is run by (`Postgres.command`). `log` is where the keeper says what goes wrong: it may
    outlive our terminal.
    """

    def __init__(self, commands: Sequence[dict[str, Any]], *, lock_descriptor: int, seats: Path, log: Path) -> None:
        self._specs = [{**command, "keep_fds": [lock_descriptor]} for command in commands]
        self._lock_descriptor = lock_descriptor
        self._seats = seats
        self._log_file = log
        self._stopping = threading.Event()
        self._answered = False
        self._turn = threading.Lock()
        self._process = self._start()
        self._watch = threading.Thread(target=self._keep_it_up, name="embedded-servers", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether the keeper is gone: before the servers have answered, because one of them could not start."""
        return self._process.poll() is not None

    def servers_answered(self) -> None:
        """From now on what dies is started again, the keeper too."""
        self._answered = True
        _tell(self._process, _ANSWERED)
        self._watch.start()

    def stop(self) -> bool:
        """Ends the servers and returns when they are gone; False: others have a seat, the keeper goes on for them."""
        self._stopping.set()
        with self._turn:
            others_remain = self._let_go()
        if not others_remain and self._watch.is_alive():
            self._watch.join()
        return not others_remain

    def _let_go(self) -> bool:
        """Says that we need them no more, and hears whether others do."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        heard, _, _ = select.select([self._process.stdout], [], [], _STOP_SECONDS)
        others_remain = bool(heard and self._process.stdout.read(1))
        self._process.stdout.close()
        if not others_remain:
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return others_remain

    def _keep_it_up(self) -> None:
        while True:
            status = self._process.wait()
            with self._turn:
                if self._stopping.is_set():
                    return
                _log.error("the keeper of the embedded servers ended (%s); starting it and them again", status)
                try:
                    self._process = self._start()
                except OSError as error:
                    _log.error("the keeper of the embedded servers cannot be started: %s", error)
            if self._stopping.wait(_PAUSE_SECONDS):
                return

    def _start(self) -> subprocess.Popen[bytes]:
        with open(self._log_file, "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0,
                pass_fds=(self._lock_descriptor,), start_new_session=True, cwd="/",
            )  # fmt: skip
        order = {"servers": self._specs, "answered": self._answered, "seats": str(self._seats)}
        _tell(process, json.dumps(order).encode() + b"\n")
        return process


def _tell(process: subprocess.Popen[bytes], what: bytes) -> None:
    """Writes to the keeper's pipe. One that died shows as such when the servers are waited for."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(what)
