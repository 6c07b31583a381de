"""Runs the servers and ends them when the process that asked for them is gone. Standard library only.

Started as a script with a pipe on standard input: one JSON line says what to run, one byte "they answered" (from then
on a server that dies is started again for as long as it takes, with growing pauses), end of file says that the starter
needs them no more. Where others still hold a seat (a shared lock on the file of seats) the keeper says so with one byte
on standard output and goes on for them; it ends the servers once it has the seats to itself, and keeps them to itself
until it is gone, so that nobody joins servers that end. It is the servers' parent and in a session of its own, so a
Ctrl-C in the terminal reaches the services first and the servers only through it. On Linux the kernel ends the servers
should the keeper itself be killed; elsewhere the folder's lock still keeps a second set out.
"""

import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

_TICK_SECONDS = 0.2
_STOP_SECONDS = 25.0
_STEADY_TICKS = 25
_PAUSE_TICKS_MAX = 10
_PR_SET_PDEATHSIG = 1
_OTHERS_REMAIN = b"+"
_now_seconds = time.monotonic  # noqa: TID251 - a script of the standard library alone: it has no kernel to ask


class Server:
    """One server process and how to end it."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.ticks_up = 0
        self.short_lives = 0
        self.pause_ticks = 0
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        keeper = os.getpid()

        def in_child() -> None:
            if sys.platform == "linux":
                ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, self.spec["stop_signal"])
                if os.getppid() != keeper:
                    os._exit(1)

        who = {"user": self.spec["uid"], "group": self.spec["gid"], "extra_groups": []} if "uid" in self.spec else {}
        with open(self.spec["log"], "ab") as log:
            return subprocess.Popen(
                self.spec["argv"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.spec["cwd"],
                env=self.spec["env"], pass_fds=self.spec["keep_fds"], preexec_fn=in_child, **who,
            )  # fmt: skip

    def tend(self, *, restart: bool) -> bool:
        """Starts a dead server again, at once the first time. False: it is dead, and nobody said `restart`."""
        if self.process.poll() is None:
            self.ticks_up += 1
            return True
        if not restart:
            return False
        if self.pause_ticks > 0:
            self.pause_ticks -= 1
            return True
        self.short_lives = 0 if self.ticks_up > _STEADY_TICKS else self.short_lives + 1
        self.ticks_up, self.pause_ticks = 0, min(self.short_lives, _PAUSE_TICKS_MAX)
        try:
            self.process = self._spawn()
        except OSError as error:  # no process or no file to be had now: the next attempt may find one
            sys.stderr.write(f"{self.spec['argv'][0]}: cannot be started: {error}\n")
        return True

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.spec["stop_signal"])

    def wait(self, deadline: float) -> None:
        try:
            self.process.wait(max(0.0, deadline - _now_seconds()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        block = os.read(0, 65536)
        if not block:
            sys.exit(0)
        line += block
    return line


def _nobody_sits(seats: int) -> bool:
    """Whether no process has a seat; from then on none gets one while this process lives."""
    try:
        fcntl.flock(seats, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _others_remain() -> None:
    """Tells the starter, where it still listens, and lets go of its pipe."""
    with suppress(BrokenPipeError):
        os.write(1, _OTHERS_REMAIN)
    os.dup2(2, 1)


def _starter_is_gone(starter: int) -> bool | None:
    """Waits a tick for what it says: True, it needs the servers no more; False, they have answered; None, nothing."""
    readable, _, _ = select.select([0], [], [], _TICK_SECONDS)
    if readable:
        return not os.read(0, 64)
    return True if os.getppid() != starter else None


def main() -> int:
    starter = os.getppid()
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: stopping.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    order = json.loads(_read_line())
    seats = os.open(order["seats"], os.O_RDWR)
    servers = [Server(spec) for spec in order["servers"]]
    answered, alone, kept_up = bool(order["answered"]), False, True
    while kept_up and not stopping:
        if alone:
            time.sleep(_TICK_SECONDS)
            if _nobody_sits(seats):
                break
        elif (gone := _starter_is_gone(starter)) is not None:
            if gone and (not answered or _nobody_sits(seats)):
                break
            if gone:
                alone = True
                _others_remain()
            answered = True
        kept_up = False not in [server.tend(restart=answered) for server in servers]
    for server in servers:
        server.stop()
    deadline = _now_seconds() + _STOP_SECONDS
    for server in servers:
        server.wait(deadline)
    return 0 if kept_up else 1


if __name__ == "__main__":
    sys.exit(main())
