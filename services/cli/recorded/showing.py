"""A comparison of two runs, on the terminal and as one HTML file that needs no other."""

import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from services.cli.recorded.comparing import RunComparison, TradeKey
from services.cli.reports.page.charts import line_charts
from services.cli.reports.page.style import STYLE
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import ist_datetime

_TRADES_SHOWN: Final = 20
_TRADES_ON_PAGE: Final = 500


def print_comparison(found: RunComparison) -> None:
    """What went in differently first."""
    console = Console(file=sys.stdout, highlight=False, markup=False)
    first, second = (f"run {run.number}" for run in found.runs)
    for title, rows in (("differs", _input_rows(found)), ("", _figure_rows(found))):
        table = Table(title, first, second)
        for row in rows:
            table.add_row(*row)
        if rows:
            console.print(table)
        else:
            console.print("all inputs are the same")
    for line in _summary(found):
        console.print(line, soft_wrap=True)
    for key, ours, theirs in found.trades[:_TRADES_SHOWN]:
        console.print(f"  {_trade(key)}: {_outcome(ours)} | {_outcome(theirs)}", soft_wrap=True)
    if len(found.trades) > _TRADES_SHOWN:
        console.print(f"  and {len(found.trades) - _TRADES_SHOWN:,} more")


def write_comparison(found: RunComparison, path: Path) -> None:
    """Raises InvalidInput where it cannot be written."""
    names = [f"run {run.number}" for run in found.runs]
    title = escape(f"{names[0]} and {names[1]}")
    equities = [[page.daily.equity_paise[0] - page.pnl_paise[0], *page.daily.equity_paise] for page in found.pages]
    trades = [[_trade(key), _outcome(ours), _outcome(theirs)] for key, ours, theirs in found.trades[:_TRADES_ON_PAGE]]
    said = "".join(f"<p>{escape(line)}</p>" for line in _summary(found))
    body = (
        _table("What went in differently", ("", *names), _input_rows(found) or [["nothing", "", ""]])
        + f"<section><h2>Equity, each over its own days</h2><p>{escape(names[0])} coloured, {escape(names[1])} grey</p>"
        + line_charts([(equities[1], "price"), (equities[0], "equity")], label="Equity of both")
        + "</section>"
        + _table("Figures", ("", *names), _figure_rows(found))
        + f"<section><h2>Trades</h2>{said}</section>"
        + _table("Trades that differ", ("trade", *names), trades)
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}"
        "<footer>Times are IST (UTC+05:30).</footer></main></body></html>\n"
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror or error}") from error


def _input_rows(found: RunComparison) -> list[list[str]]:
    return [[name, _said(ours), _said(theirs)] for name, (ours, theirs) in found.inputs.items()]


def _figure_rows(found: RunComparison) -> list[list[str]]:
    return [[name, _said(ours), _said(theirs)] for name, (ours, theirs) in found.figures.items()]


def _summary(found: RunComparison) -> list[str]:
    decisions = "every decision, verdict, fill and trade is the same" if found.same_decisions else "decisions differ"
    return [f"{decisions}; trades alike {found.trades_alike:,}, differing {len(found.trades):,}"]


def _said(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _trade(key: TradeKey) -> str:
    user, strategy, symbol, side, opened_ns = key
    return f"{ist_datetime(opened_ns):%Y-%m-%d %H:%M:%S} IST {user} {strategy} {symbol} {side}"


def _outcome(trade: Mapping[str, Any] | None) -> str:
    if trade is None:
        return "not traded"
    net = format_rupees(trade["net_pnl_paise"] or 0)
    return f"{trade['entry_quantity']:,} for {net}, {trade['exit_reason'] or 'open'}"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Text, not HTML, goes in."""
    if not rows:
        return ""
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        f'<section><h2>{escape(title)}</h2><div class="wide words"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )
