"""The `tradebus` command as a person runs it: one command after another, and `up` beside them."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.cli.stack.children import free_port
from services.cli.stack.rundir import RunState, read_run, runs_folder
from tradebus.runtime.embedded.local import is_alive

COMMAND = [sys.executable, "-m", "services.cli.main"]
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shell:
    """Runs the command with an environment and a state folder of its own."""

    environment: dict[str, str]
    state: Path

    @classmethod
    def at(cls, state: Path, **variables: str) -> "Shell":
        """Without `DATABASE_URL` and `REDIS_URL` among the variables the servers are embedded in `state`."""
        theirs = {"DATABASE_URL", "REDIS_URL", "DATABASE_URL_FILE", "REDIS_URL_FILE"}
        ours = {name: value for name, value in os.environ.items() if name not in theirs}
        return cls({**ours, **variables, "TRADEBUS_STATE_DIR": str(state), "COLUMNS": "200"}, state)

    def __call__(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert found.returncode == code, (arguments, found.stdout[-2000:], found.stderr[-2000:])
        assert "Traceback" not in found.stderr
        return found

    def json(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*arguments, "--json").stdout.splitlines()[-1])
        return found


@dataclass
class Standing:
    """A `tradebus up` that runs. `said` grows with every line it writes."""

    shell: Shell
    process: subprocess.Popen[str]
    said: list[str]

    @property
    def run(self) -> RunState:
        """What it has written about itself last."""
        run = read_run(runs_folder(self.shell.state) / "default")
        assert run is not None, "".join(self.said)
        return run


def _listen_to_interrupts() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process it starts: not what a terminal's would."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def standing(shell: Shell) -> Iterator[Standing]:
    """`tradebus up`, sped up, on ports nobody has; ended by Ctrl-C."""
    arguments = ["up", "--speed", "60", "--port", str(free_port()), "--api-port", str(free_port()), "--seed", "3"]
    process = subprocess.Popen(
        [*COMMAND, *arguments], env=shell.environment, cwd=ROOT, stderr=subprocess.PIPE, text=True,
        preexec_fn=_listen_to_interrupts,
    )  # fmt: skip
    up = Standing(shell, process, [])
    ready = threading.Event()

    def read() -> None:
        for line in process.stderr or ():
            up.said.append(line)
            if "Ctrl-C ends everything" in line:
                ready.set()
        ready.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert ready.wait(90)
        assert process.poll() is None, "".join(up.said)
        yield up
        services = up.run.services
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130, "".join(up.said)
        assert not any(is_alive(service.pid) for service in services.values())
    finally:
        process.kill()
        process.wait()
        reader.join()
        if process.stderr is not None:
            process.stderr.close()
