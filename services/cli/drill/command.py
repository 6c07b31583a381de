"""Runs the drill for a person or for CI: progress on stderr, the verdict on stdout, 1 where an invariant fails."""

import os
import sys
from datetime import date

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from services.cli.drill.real.command import play_real
from services.cli.drill.report import print_failed, print_story, print_totals
from services.cli.drill.seeds import DrillTotals, drill_place, play_seed, play_window, seed_of_day
from services.cli.output import Verbosity, run_async, say
from services.cli.place import state_dir
from tradebus.kernel.clock import WallClock, monotonic_ns
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime
from tradebus.preflight.build import build_name
from tradebus.preflight.drill_record import DrillRecord, read_drill, write_drill

_TRACED_MAX = 5


def run_drill(*, seed: int | None, runs: int, trace: bool, jobs: int | None, json: bool, real: bool) -> None:
    """Raises InvalidInput, and leaves with 1 where an invariant does not hold."""
    first = seed_of_day(today()) if seed is None else seed
    if real and (trace or jobs is not None):
        raise InvalidInput("--real: no --trace, the story of a run that fails is told anyway, and no --jobs")
    if trace:
        if runs > _TRACED_MAX:
            raise InvalidInput(f"--trace: tells of at most {_TRACED_MAX} runs; say which with --seed, and --runs 1")
        _trace(first, runs)
        return
    if seed is None:
        say(f"drill: the seeds of {today()} from {first} on; the same again with --seed {first}")
    build_name()  # is that of the sources as they are now, whoever changes them while the drill runs
    began_ns = monotonic_ns()
    with Progress(
        TextColumn("drill"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(), console=Console(stderr=True), disable=Verbosity.silent or not sys.stderr.isatty(),
    ) as progress:  # fmt: skip
        bar = progress.add_task("drill", total=runs, failed=0)

        def told(totals: DrillTotals) -> None:
            progress.update(bar, completed=totals.runs, failed=len(totals.failing))

        if real:
            totals = run_async(play_real(first, runs, told=told, failed=print_failed))
        else:
            totals = play_window(first, runs, jobs=jobs or os.cpu_count() or 1, told=told)
    wall_seconds = (monotonic_ns() - began_ns) / NANOSECONDS_PER_SECOND
    print_totals(totals, first=first, wall_seconds=wall_seconds, json=json, real=real)
    if not real:
        keep_record(totals, first=first)
    if not totals.passed:
        raise typer.Exit(1)


def keep_record(totals: DrillTotals, *, first: int) -> None:
    """For preflight: what was found last, but that a short drill which passes takes nothing from a longer one of the
    same version. Raises InvalidInput where it cannot be kept."""
    folder, release = state_dir(), build_name()
    try:
        before = read_drill(folder)
    except InvalidInput:
        before = None  # what cannot be read is replaced: preflight sends people here for that
    stands = before is not None and before.passed and before.version == release and before.runs > totals.runs
    if totals.passed and stands:
        return
    seed = first if totals.passed else min(totals.failing)
    at = ist_datetime(WallClock().now_ns()).isoformat(timespec="seconds")
    write_drill(folder, DrillRecord(release, totals.runs, seed, totals.passed, at))


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
