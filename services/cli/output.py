"""What goes where: figures to stdout, everything else to stderr, one JSON object last where it was asked for."""

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")
INTERRUPTED = 130


class Verbosity:
    """Set once by the options before the command: --silent, --verbose."""

    silent = False
    log_level = "info"


def say(text: str) -> None:
    """A line for a person, on stderr."""
    if not Verbosity.silent:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def print_json(figures: dict[str, Any]) -> None:
    """The last line of stdout: one object."""
    sys.stdout.write(json.dumps(figures, ensure_ascii=False, default=str, allow_nan=False) + "\n")
    sys.stdout.flush()


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Runs it; Ctrl-C and SIGTERM end it in order and leave with 130."""

    async def stoppable() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(stoppable())
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise typer.Exit(INTERRUPTED) from None
