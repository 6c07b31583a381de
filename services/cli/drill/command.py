"""Runs the drill for a person or for CI: progress on stderr, the verdict on stdout, 1 where an invariant fails."""

import os
import sys
from datetime import date

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.drill.report import print_story, print_totals
from services.cli.drill.seeds import DrillTotals, drill_place, play_seed, play_window, seed_of_day
from services.cli.output import Verbosity, say
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date

_TRACED_MAX = 5


def run_drill(*, seed: int | None, runs: int, trace: bool, jobs: int | None, json: bool) -> None:
    """Raises InvalidInput, and leaves with 1 where an invariant does not hold."""
    first = seed_of_day(today()) if seed is None else seed
    if trace:
        if runs > _TRACED_MAX:
            raise InvalidInput(f"--trace: tells of at most {_TRACED_MAX} runs; say which with --seed, and --runs 1")
        _trace(first, runs)
        return
    if seed is None:
        say(f"drill: the seeds of {today()} from {first} on; the same again with --seed {first}")
    began_ns = monotonic_ns()
    with Progress(
        TextColumn("drill"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(), console=Console(stderr=True), disable=Verbosity.silent or not sys.stderr.isatty(),
    ) as progress:  # fmt: skip
        bar = progress.add_task("drill", total=runs, failed=0)

        def told(totals: DrillTotals) -> None:
            progress.update(bar, completed=totals.runs, failed=len(totals.failing))

        totals = play_window(first, runs, jobs=jobs or os.cpu_count() or 1, told=told)
    wall_seconds = (monotonic_ns() - began_ns) / NANOSECONDS_PER_SECOND
    print_totals(totals, first=first, wall_seconds=wall_seconds, json=json)
    if not totals.passed:
        raise typer.Exit(1)


def today() -> date:
    """In India."""
    return ist_date(WallClock().now_ns())


def _trace(first: int, runs: int) -> None:
    failed = False
    with drill_place() as state_dir:
        for seed in range(first, first + runs):
            result = play_seed(seed, state_dir=state_dir)
            print_story(result)
            failed = failed or bool(result.violations)
    if failed:
        raise typer.Exit(1)
