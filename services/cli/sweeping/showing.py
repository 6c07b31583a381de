"""A sweep for people and programs: the best sets on the terminal, all of them in a file, a map of colours in HTML."""

import csv
import json
import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.cli.reports.page.style import STYLE
from tradebus.engine.bulk.sweep import FIGURES, Swept
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees
from tradebus.performance.daily import DAYS_PER_YEAR
from tradebus.performance.folds import sharpes
from tradebus.performance.resampling import deepest_fall

TABLE_KINDS: Final = (".csv", ".parquet", ".json")
_CELLS_MAX: Final = 10_000
Row = dict[str, Any]


def rows_of(points: Sequence[dict[str, Any]], swept: Swept) -> list[Row]:
    """One per set, the best net profit first: parameters, then figures (money in paise)."""
    profits = swept.daily_paise.astype(np.float64)
    ratios = sharpes(profits.T) * math.sqrt(DAYS_PER_YEAR) if profits.shape[1] > 1 else np.zeros(len(profits))
    rows = [
        {
            **point, "net_paise": int(net), "sharpe": round(float(ratio), 4),
            "max_drawdown_paise": deepest_fall(daily), **dict(zip(FIGURES, figures.tolist(), strict=True)),
        }
        for point, net, ratio, daily, figures in zip(
            points, swept.net_paise, ratios, swept.daily_paise, swept.figures, strict=True
        )
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -row["net_paise"])


def table_lines(rows: Sequence[Row], points: Sequence[dict[str, Any]], *, top: int) -> list[str]:
    """The best sets, in columns as narrow as they can be."""
    names = list(points[0])
    head = [*names, "net", "Sharpe", "fall", "trades"]
    body = [
        [
            *(str(row[name]) for name in names), format_rupees(row["net_paise"]), f"{row['sharpe']:.2f}",
            format_rupees(row["max_drawdown_paise"]), f"{row['trades']:,}",
        ]
        for row in rows[:top]
    ]  # fmt: skip
    widths = [max(len(line[place]) for line in (head, *body)) for place in range(len(head))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *body)
    ]  # fmt: skip


def check_table(path: Path | None) -> None:
    """Raises InvalidInput before anything is computed where a table cannot be written there."""
    if path is None:
        return
    if path.suffix not in TABLE_KINDS:
        raise InvalidInput(f"--table {path}: name a file that ends in {', '.join(TABLE_KINDS)}")
    if not path.absolute().parent.is_dir():
        raise InvalidInput(f"--table {path}: there is no folder {path.absolute().parent}; make it first")


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Every set. Raises InvalidInput where it cannot be written."""
    try:
        if path.suffix == ".json":
            path.write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
        elif path.suffix == ".csv":
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(list(rows)), path)
    except OSError as error:
        raise InvalidInput(f"--table {path}: cannot be written: {error.strerror or error}") from error


def write_heat_map(
    rows: Sequence[Row], points: Sequence[dict[str, Any]], path: Path, *, title: str, lines: Sequence[str]
) -> None:
    """Raises InvalidInput where it cannot be written, and for more cells than a person can look at."""
    page = heat_map(rows, points, title=title, lines=lines)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror or error}") from error


def heat_map(rows: Sequence[Row], points: Sequence[dict[str, Any]], *, title: str, lines: Sequence[str]) -> str:
    """The two parameters with the most values against each other; of all others the best set counts."""
    counts = {name: len({str(point[name]) for point in points}) for name in points[0]}
    across, *rest = sorted(counts, key=lambda name: -counts[name])
    down = rest[0] if rest else None
    columns = _values(points, across)
    sides = _values(points, down) if down is not None else [None]
    if len(columns) * len(sides) > _CELLS_MAX:
        raise InvalidInput(
            f"--report: a map of {len(columns) * len(sides):,} cells; sweep fewer values, or use --table"
        )
    best: dict[tuple[Any, Any], Row] = {}
    for row in rows:  # the best first
        best.setdefault((row[across], row[down] if down is not None else None), row)
    most = max((abs(row["net_paise"]) for row in best.values()), default=0) or 1
    head = "".join(f"<th>{escape(str(value))}</th>" for value in columns)
    body = "".join(
        f"<tr><th>{escape('' if side is None else str(side))}</th>"
        + "".join(_cell(best.get((value, side)), most) for value in columns) + "</tr>"
        for side in sides
    )  # fmt: skip
    corner = escape(f"{down} \\ {across}" if down is not None else across)
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}td.cell{{text-align:center}}</style></head><body><main><h1>{escape(title)}</h1>{said}"
        f'<h2>Net profit in thousands of rupees</h2><div class="wide"><table><tr><th>{corner}</th>{head}</tr>{body}'
        "</table></div></main></body></html>\n"
    )


def _values(points: Sequence[dict[str, Any]], name: str) -> list[Any]:
    found = list(dict.fromkeys(point[name] for point in points))
    return sorted(found) if all(isinstance(one, int | float) for one in found) else found


def _cell(row: Row | None, most: int) -> str:
    if row is None:
        return '<td class="cell"></td>'
    share = round(70 * abs(row["net_paise"]) / most)
    colour = "--win" if row["net_paise"] > 0 else "--loss"
    words = f"{format_rupees(row['net_paise'])}, {row['trades']:,} trades, Sharpe {row['sharpe']:.2f}"
    shade = f"background:color-mix(in srgb,var({colour}) {share}%,var(--back))"
    return f'<td class="cell" style="{shade}" title="{escape(words)}">{row["net_paise"] / 100_000:,.0f}</td>'
