"""Plays a week for a person or for CI: a line per evening as it comes, then the verdict; 1 where an evening fails."""

import gc
from collections.abc import Sequence
from datetime import date

import typer

from services.cli.drill.command import today
from services.cli.drill.seeds import YOUNG_OBJECTS, drill_place, seed_of_day
from services.cli.drill.week.evening import Evening
from services.cli.drill.week.plan import USERS, week_plan
from services.cli.drill.week.play import WeekResult, WeekRun
from services.cli.output import print_json, say
from tradebus.kernel.clock import process_ns
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_SHOWN = 10  # violations of an evening
_HEAD = "evening      orders entries  fills requests faults  verdict"


def run_week(
    *, seed: int | None, trace: bool, json: bool, days: Sequence[date] | None = None, users: int = USERS
) -> None:
    """Raises InvalidInput, and leaves with 1 where an evening's books are not equal, or a person is needed."""
    number = seed_of_day(today()) if seed is None else seed
    plan = week_plan(number, days=days, users=users)
    say(f"drill: the week of seed {number}, {users} users at three brokers; the same again with --week --seed {number}")
    if not json:
        print(_HEAD)

    def told(evening: Evening) -> None:
        if json:
            say(line_of(evening))
        else:
            print(line_of(evening), flush=True)

    gc.set_threshold(YOUNG_OBJECTS, 20, 100)
    began_ns = process_ns()
    with drill_place() as state_dir:
        result = WeekRun(plan, state_dir=state_dir, told=told).play()
    cpu_seconds = (process_ns() - began_ns) / NANOSECONDS_PER_SECOND
    if trace:
        print(result.story.text())
    if json:
        print_json(figures_of(result, cpu_seconds=cpu_seconds))
    else:
        print_verdict(result, cpu_seconds=cpu_seconds)
    if not result.passed:
        raise typer.Exit(1)


def line_of(one: Evening) -> str:
    """What a day came to."""
    verdict = "books equal, nobody needed" if one.passed else f"FAILED: {len(one.violations)} violations"
    if one.known:
        verdict += f"; {one.known} bare while several faults came together, at most {one.known_seconds_max:.1f} s"
    return (
        f"{one.day:%a %d %b} {one.orders:>9,} {one.entries:>7,} {one.fills:>6,} {one.requests:>8,} {one.faults:>6,}"
        f"  {verdict}"
    )


def print_verdict(result: WeekResult, *, cpu_seconds: float) -> None:
    """To stdout."""
    for one in result.evenings:
        for text in one.violations[:_SHOWN]:
            print(f"FAILED  {one.day:%a %d %b}: {text}")
    for text in result.problems:
        print(f"FAILED  {text}")
    faults = ", ".join(f"{count:,} {name}" for name, count in sorted(result.faults.items()))
    print(f"faults: {faults}")
    print(
        f"{'PASSED' if result.passed else 'FAILED'}: {len(result.evenings)} evenings, {result.requests:,} requests,"
        f" {result.seconds / 3600:.1f} hours of the services, {result.steps:,} steps, {cpu_seconds:.1f} CPU-seconds;"
        f" trace {result.digest}"
    )
    if not result.passed:
        print(f"to see it happen:  tradebus drill --week --seed {result.seed} --trace")


def figures_of(result: WeekResult, *, cpu_seconds: float) -> dict[str, object]:
    """For machines."""
    return {
        "command": "drill --week", "passed": result.passed, "seed": result.seed, "requests": result.requests,
        "faults": dict(sorted(result.faults.items())), "problems": list(result.problems), "trace": result.digest,
        "cpu_seconds": round(cpu_seconds, 1), "steps": result.steps,
        "evenings": [
            {
                "day": one.day.isoformat(), "passed": one.passed, "orders": one.orders, "entries": one.entries,
                "fills": one.fills, "requests": one.requests, "faults": one.faults, "violations": one.violations,
                "known": one.known, "known_seconds_max": round(one.known_seconds_max, 1),
            }
            for one in result.evenings
        ],
    }  # fmt: skip
