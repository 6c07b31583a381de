"""`tradebus runs`: what was run, the newest first."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from services.cli.recorded.folder import RecordedRun
from tradebus.kernel.money import format_rupees


def chosen(
    runs: Iterable[RecordedRun], *, strategy: str | None, symbol: str | None, command: str | None, most: int
) -> list[RecordedRun]:
    """Those that have all of what is asked for, at most so many."""
    found: list[RecordedRun] = []
    for run in runs:
        if len(found) == most:
            break
        told = run.facts["figures"]
        fits = (
            (strategy is None or strategy in told.get("strategies", ()))
            and (symbol is None or symbol.upper() in (one.upper() for one in told.get("symbols", ())))
            and (command is None or command == told.get("command"))
        )
        if fits:
            found.append(run)
    return found


def line_of(run: RecordedRun) -> dict[str, Any]:
    """One run for machines."""
    figures = run.facts["figures"]
    names = (
        "command", "symbols", "strategies", "from", "to", "trades", "net_pnl", "net_pnl_paise", "failed_strategies",
        "decision_log_hash",
    )  # fmt: skip
    return {
        "run": run.number,
        "recorded": run.facts["recorded"],
        **{name: figures.get(name) for name in names},
        "folder": str(run.folder),
    }


def print_runs(runs: Iterable[RecordedRun]) -> None:
    """A table; on a narrow terminal its cells wrap."""
    table = Table(show_header=True)
    for name, justify in (
        ("run", "right"),
        ("recorded", "left"),
        ("what", "left"),
        ("trades", "right"),
        ("net", "right"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for run in runs:
        figures = run.facts["figures"]
        failed = figures.get("failed_strategies") or ()
        what = f"{figures.get('command')}: {', '.join(figures.get('strategies', ()))} on {run.facts['title']}"
        table.add_row(
            str(run.number), f"{run.facts['recorded'][:16].replace('T', ' ')} IST",
            what + "".join(f"; {name} FAILED" for name in failed), f"{figures.get('trades', 0):,}",
            format_rupees(figures.get("net_pnl_paise", 0)),
        )  # fmt: skip
    Console(file=sys.stdout, highlight=False, markup=False).print(table)
