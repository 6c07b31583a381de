"""What is said about a history: before a run, and without one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import typer

from services.cli.output import Verbosity, print_json, say
from tradebus.history.loading import Watch
from tradebus.history.validate import HistorySummary, check_history
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput


def say_summary(name: str, summary: HistorySummary) -> None:
    """How much it holds, then what was taken for what and what to doubt, a line each."""
    for line in lines_of(name, summary):
        say(line)


def lines_of(name: str, summary: HistorySummary) -> list[str]:
    return [f"{name}: {summary}", *(f"  {line}" for line in summary.said)]


@contextmanager
def shown_reading(path: Path) -> Iterator[Watch]:
    """Files that are read, of so many, and how long it takes, on stderr. Shows nothing where stderr is no terminal, or
    with --silent."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("reading {task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=Verbosity.silent or not console.is_terminal,
    )
    task = progress.add_task(path.resolve().name, total=None, count="")

    def watch(done: int, total: int) -> None:
        if total > 1:
            progress.update(task, completed=done, total=total, count=f"{done:,} of {total:,} files")

    with progress:
        yield watch


def check_files(
    paths: Sequence[Path], *, symbols: Sequence[str], from_date: date | None, to_date: date | None,
    reading: FileReading, json: bool,
) -> int:  # fmt: skip
    """Says on stdout what a run would read of each, and why one cannot be run. Returns the exit code."""
    found: list[dict[str, Any]] = []
    for path in paths:
        try:
            with shown_reading(path) as watch:
                summary = check_history(path, symbols, from_date, to_date, reading=reading, watch=watch)
        except InvalidInput as error:
            lines = [f"REFUSED: {error}"]
            found.append({"file": str(path), "can_be_run": False, "refused": str(error)})
        else:
            lines = lines_of(str(path), summary)
            found.append({"file": str(path), "can_be_run": True, **asdict(summary)})
        for line in lines if not json else ():
            typer.echo(line)
    can_be_run = all(one["can_be_run"] for one in found)
    if json:
        print_json({"command": "check-history", "can_be_run": can_be_run, "files": found})
    return 0 if can_be_run else InvalidInput.exit_code
