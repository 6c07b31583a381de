"""Reports for people: tables on stdout, files in the run's folder."""

import csv
import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.cli.reports.report import ReportFigures, RunReport, SessionReport
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees, paise_to_rupees
from tradebus.kernel.time import ist_datetime, utc_iso

_MONEY = ("entry_value_paise", "exit_value_paise", "charges_paise", "net_pnl_paise")


CHARGE_NAMES = {
    "brokerage_paise": "brokerage", "stt_paise": "STT", "transaction_paise": "exchange", "ipft_paise": "IPFT",
    "sebi_paise": "SEBI", "stamp_paise": "stamp duty", "gst_paise": "GST",
}  # fmt: skip
_TITLE_SYMBOLS_MAX = 6
_REASONS_SHOWN = 5
_REFUSALS_SHOWN = 12
# What a line of the file of trades has: its head where there was no trade.
_TRADE_HEAD = (
    "pos_id", "session_id", "user_id", "strategy", "symbol", "side", "state", "entry_quantity", "entry_value",
    "exit_quantity", "exit_value", "charges", "net_pnl", "r_multiple", "mae_r", "mfe_r", "exit_reason", "opened_utc",
    "closed_utc", "group_id",
)  # fmt: skip


def run_title(symbols: Sequence[str], first: date, last: date) -> str:
    """What was traded and when; of many symbols the first and how many more."""
    more = len(symbols) - _TITLE_SYMBOLS_MAX
    shown = ", ".join(symbols[:_TITLE_SYMBOLS_MAX]) + (f" and {more} more" if more > 0 else "")
    return f"{shown} · {first} to {last}"


def print_report(report: RunReport, *, title: str, facts: dict[str, str]) -> None:
    """One table per session where there are several, the total, then the facts."""
    console = Console(file=sys.stdout, highlight=False)
    console.print(title, soft_wrap=True)
    table = Table(show_header=len(report.sessions) > 1)
    table.add_column("")
    columns = [*((_heading(one), one.figures) for one in report.sessions)]
    if len(columns) > 1:
        columns.append(("all", report.total))
    for heading, _ in columns:
        table.add_column(heading, justify="right")
    for name, cells in _rows([figures for _, figures in columns]):
        table.add_row(name, *cells)
    console.print(table)
    for line in said_lines(report):
        console.print(line, soft_wrap=True, markup=False)
    for name, value in {"bars": f"{report.bars:,}", **facts, "decision log": report.decision_log_hash}.items():
        console.print(f"{name:>13}  {value}", soft_wrap=True)


def said_lines(report: RunReport) -> list[str]:
    """Why strategies held, and what risk refused with what would have had to be different."""
    lines = []
    for strategy, answers in report.answers.items():
        actions = ", ".join(f"{name} {count:,}" for name, count in answers.actions.most_common())
        lines.append(f"{strategy} answered {actions}")
        holds = answers.commonest(answers.holds, len(answers.holds))
        lines += [f"  {one.number:,} x {one.shown}, first {_moment(one.first_ns)}" for one in holds[:_REASONS_SHOWN]]
        if len(holds) > _REASONS_SHOWN:
            lines.append(f"  and {len(holds) - _REASONS_SHOWN:,} other reasons")
    refused = sorted(report.refusals, key=lambda one: -one.number)
    for one in refused[:_REFUSALS_SHOWN]:
        whose = f" of {one.strategy} in {one.symbol}" if one.strategy else ""
        lines.append(
            f"risk: {one.verdict} {one.number:,} x {one.rule}{whose}, first {_moment(one.first_ns)}: {one.detail}"
        )
    if len(refused) > _REFUSALS_SHOWN:
        lines.append(f"risk: and {len(refused) - _REFUSALS_SHOWN:,} others, in --json and --report")
    return lines


def _moment(ts_ns: int) -> str:
    return f"{ist_datetime(ts_ns):%Y-%m-%d %H:%M:%S} IST"


def _heading(session: SessionReport) -> str:
    return f"{session.user_id}: {', '.join(session.strategies)}"


def _rows(columns: list[ReportFigures]) -> list[tuple[str, list[str]]]:
    rules = sorted({rule for figures in columns for rule in figures.blocks_by_rule})
    counts = ("decisions", "approvals", "reductions", "blocks", "halts", "orders", "fills", "trades", "winners")
    rows = [("signals", [f"{sum(figures.signals.values()):,}" for figures in columns])]
    rows += [(name, [f"{getattr(figures, name):,}" for figures in columns]) for name in counts]
    at = [name for name, _ in rows].index("blocks") + 1
    rows[at:at] = [(f"  {rule}", [f"{one.blocks_by_rule.get(rule, 0):,}" for one in columns]) for rule in rules]
    rows.append(("gross P&L", [format_rupees(figures.gross_pnl_paise) for figures in columns]))
    rows.append(("charges", [format_rupees(figures.charges_paise) for figures in columns]))
    for kind, name in CHARGE_NAMES.items():
        paid = [figures.charges.parts[kind] for figures in columns]
        if any(paid):
            rows.append((f"  {name}", [format_rupees(paise) for paise in paid]))
    rows.append(("net P&L", [format_rupees(figures.net_pnl_paise) for figures in columns]))
    return rows


def write_files(report: RunReport, figures: dict[str, Any], folder: Path) -> None:
    """report.json (what --json prints) and trades.csv (one line per trade, rupees, UTC)."""
    (folder / "report.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False, default=str) + "\n")
    write_trades(report.trades, folder / "trades.csv")


def write_trades(trades: Sequence[dict[str, Any]], path: Path) -> None:
    """One line per trade, rupees, UTC: as CSV, or as Parquet where the name ends so. Raises InvalidInput where it
    cannot be written."""
    rows = [_trade_line(row) for row in trades]
    try:
        if path.suffix == ".parquet":
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
            return
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else _TRADE_HEAD)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror or error}") from error


def _trade_line(row: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = {}
    for name, value in row.items():
        if name in _MONEY:
            line[name.removesuffix("_paise")] = "" if value is None else paise_to_rupees(value)
        elif name.endswith("_ns"):
            line[f"{name.removesuffix('_ns')}_utc"] = "" if value is None else utc_iso(value)
        else:
            line[name] = value
    return line
