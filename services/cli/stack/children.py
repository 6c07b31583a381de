"""One child process: started, watched, ended; never outliving its parent."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

from services.cli.stack.restarts import RUN, RestartPolicy
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.rng import seed_for

STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_PROBE_SECONDS = 2.0
_TAIL_BYTES = 8192
_PR_SET_PDEATHSIG = 1
# Below those that systems give to outgoing connections: a port stays free until its service listens, and while that is
# started again. Each process begins at a place of its own.
_PORTS = range(10_000, 20_000)
_PLACES = count(seed_for(0, "port", os.getpid()))
# Loaded before the fork: between fork and exec nothing may be imported or locked.
_LIBC = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What to run. `environment` is added to ours; a value of None removes the variable. Port 0: it has no /readyz.
    What forgets everything with its process is not `restartable`; `policy` says how the others are started again."""

    name: str
    command: Sequence[str]
    health_port: int
    environment: Mapping[str, str | None] = field(default_factory=dict)
    restartable: bool = True
    policy: RestartPolicy = RUN


class Child:
    """A service's process; `start` may be called again after it died. Its output goes to the end of `log`."""

    def __init__(self, spec: ServiceSpec, *, log: Path, stop_seconds: float = STOP_SECONDS) -> None:
        self.spec = spec
        self.log = log
        self._stop_seconds = stop_seconds
        self.restarts = 0
        self.failing = ""  # what its last life ended with, until one lives long enough
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """0 while it does not run."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    async def start(self) -> None:
        environment = {**os.environ, "TRADEBUS_PARENT_PID": str(os.getpid())}
        for name, value in self.spec.environment.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A Ctrl-C in the terminal is ours to hand on, in order.
                start_new_session=True,
                preexec_fn=_dying_with(os.getpid()),
            )

    async def wait(self) -> int:
        """Returns the exit status once it has ended; negative: the signal that killed it."""
        assert self._process is not None
        return await self._process.wait()

    async def ready(self) -> None:
        """Returns once /readyz answers 200, or at once where there is none. Never returns for one that died."""
        while self.spec.health_port and not await _is_ready(self.spec.health_port):  # noqa: ASYNC110 - asks another process
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help in time."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_words(self) -> str:
        """The last line this life of it wrote, for an error text."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(self._log_start, self.log.stat().st_size - _TAIL_BYTES))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1][-400:] if lines else "it wrote nothing"


async def started(child: Child, *, seconds: float) -> None:
    """Starts it and returns once it is ready. Raises Unavailable with its last words where it ends instead, or takes
    longer."""
    await child.start()
    ready, ended = asyncio.create_task(child.ready()), asyncio.create_task(child.wait())
    await asyncio.wait({ready, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    is_ready = ready.done()
    for task in (ready, ended):
        task.cancel()
    await asyncio.gather(ready, ended, return_exceptions=True)
    if not is_ready:
        raise Unavailable(f"{child.spec.name} did not start: {child.last_words()} (log: {child.log})")


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on now, another one at every call. Raises Unavailable where there is none."""
    import socket

    for number in islice(_PLACES, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unavailable(f"no free port from {_PORTS.start} to {_PORTS.stop - 1} on 127.0.0.1: end some servers")


def _dying_with(parent_pid: int) -> Callable[[], None] | None:
    """What the child does before exec: ask the kernel to end it with its parent, also when that is killed."""
    if _LIBC is None:
        return None  # the service shell watches its parent instead

    def prepare() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died between fork and prctl
            os._exit(1)

    return prepare


async def _is_ready(port: int) -> bool:
    """One GET /readyz. A web client would be imported for this alone, and this runs while services start."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
