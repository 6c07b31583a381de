"""What `tradebus drill` prints: a line per invariant, the faults by kind, how fast it went, and how to see more."""

import sys
from typing import Any

from services.cli.drill.running.play import DrillResult
from services.cli.drill.running.story import DrillStory
from services.cli.drill.seeds import DrillTotals, invariant_rows
from services.cli.output import print_json

_FAILING_SHOWN = 10


def print_totals(totals: DrillTotals, *, first: int, wall_seconds: float, json: bool, real: bool) -> None:
    """To stdout."""
    if json:
        print_json(figures_of(totals, first=first, wall_seconds=wall_seconds) | {"real": real})
        return
    print(f"{totals.runs:,} runs, seeds {first} to {first + totals.runs - 1}")
    hours = "" if real else f", {totals.simulated_seconds / 3600:,.1f} hours of market time"
    print(f"  {totals.orders:,} orders at the exchange, {totals.positions:,} positions, {totals.kills:,} kills{hours}")
    for name, count in invariant_rows(totals):
        print(f"  {count:>7,}  {name}")
    if totals.known:
        print("known to be open (docs/decisions): positions without a stop for more than 5 s, because")
        for why, count in sorted(totals.known.items()):
            print(f"  {count:>7,}  {why}, at most {totals.known_seconds_max[why]:.1f} s")
    print("faults")
    for fault, count in sorted(totals.faults.items()):
        print(f"  {count:>7,}  {fault}")
    pace = f"{totals.runs_per_cpu_second:.1f} runs per CPU-second, " * (not real)
    print(f"{pace}{totals.runs / max(wall_seconds, 1e-9):.1f} runs a second in {wall_seconds:.1f} s")
    for seed, (name, text) in sorted(totals.failing.items())[:_FAILING_SHOWN]:
        print(f"FAILED  seed {seed}: {name}: {text}")
    if totals.failing and not real:
        print(f"to see one happen:  tradebus drill --seed {min(totals.failing)} --runs 1 --trace")


def figures_of(totals: DrillTotals, *, first: int, wall_seconds: float) -> dict[str, Any]:
    """For machines. What the runs cost is said where they took this process's time: a real drill's take others'."""
    pace = {"runs_per_cpu_second": round(totals.runs_per_cpu_second, 1)} if totals.cpu_seconds else {}
    return {
        "command": "drill", "passed": totals.passed, "first_seed": first, "runs": totals.runs,
        "orders": totals.orders, "positions": totals.positions, "kills": totals.kills,
        "violations": dict(invariant_rows(totals)), "faults": dict(sorted(totals.faults.items())),
        "known": {
            why: {"positions": count, "seconds_max": round(totals.known_seconds_max[why], 1)}
            for why, count in sorted(totals.known.items())
        },
        "failing_seeds": {str(seed): ": ".join(what) for seed, what in sorted(totals.failing.items())},
        **pace, "seconds": round(wall_seconds, 1),
    }  # fmt: skip


def print_failed(seed: int, story: DrillStory) -> None:
    """A real run that violates something, as it happened: it is never quite the same again."""
    print(f"seed {seed}:\n{story.text()}", file=sys.stderr)


def print_story(result: DrillResult) -> None:
    """One run as it happened, in Indian time."""
    print(result.story.text())
    print(f"seed {result.seed}: trace {result.digest}, {result.seconds:.1f} s, {result.steps:,} steps")
    for found in result.violations:
        print(f"FAILED  {found.invariant}: {found.text}")
