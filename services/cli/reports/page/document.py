"""The page itself. Whatever came from a file, a strategy or an option is escaped: a reason may hold any text."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from services.cli.reports.page.charts import bar_chart, line_chart, price_chart
from services.cli.reports.page.facts import PageFacts
from services.cli.reports.page.style import STYLE
from services.cli.reports.present import CHARGE_NAMES
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import ist_datetime
from tradebus.performance.daily import monthly_returns

_TRADES_MAX: Final = 2000  # on the page; the file of --trades has them all
_REASONS_SHOWN: Final = 15
_REFUSALS_SHOWN: Final = 50
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BARS: Final = 21


def write_page(facts: PageFacts, path: Path) -> None:
    """Raises InvalidInput where it cannot be written."""
    try:
        path.write_text(page_of(facts), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path}: cannot be written: {error.strerror or error}") from error


def page_of(facts: PageFacts) -> str:
    sections = [_headline(facts), _nothing(facts), _equity(facts), _months(facts), _distribution(facts)]
    sections += [_costs(facts), _groups(facts, "strategy"), _groups(facts, "symbol"), _prices(facts), _answers(facts)]
    sections += [_blocks(facts), _trades(facts)]
    title = escape(facts.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>{''.join(sections)}"
        f"<footer>Times are IST (UTC+05:30). Decision log {facts.report.decision_log_hash}</footer>"
        "</main></body></html>\n"
    )


def _headline(facts: PageFacts) -> str:
    total, daily = facts.report.total, facts.daily
    tiles = (
        ("Net P&L", format_rupees(total.net_pnl_paise)), ("Return", _percent(daily.total_return)),
        ("CAGR", _percent(daily.cagr)), ("Sharpe", _number(daily.sharpe)), ("Sortino", _number(daily.sortino)),
        ("Max drawdown", _percent(daily.max_drawdown)), ("Trades", f"{total.trades:,}"),
        ("Winners", _percent(total.winners / total.trades if total.trades else None)),
        ("Charges", format_rupees(total.charges_paise)), ("In the market", _percent(facts.exposure)),
    )  # fmt: skip
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{cells}</dl>'


def _nothing(facts: PageFacts) -> str:
    if facts.report.total.trades:
        return ""
    total = facts.report.total
    errors = sum(one.broken for one in facts.report.answers.values())
    return (
        f'<p class="warn"><b>No trades.</b> Of {total.decisions:,} decisions {sum(total.signals.values()):,} were '
        f"signals, risk blocked {total.blocks:,}, and {errors:,} answers could not count. The reasons are below.</p>"
    )


def _equity(facts: PageFacts) -> str:
    equity, drawdowns = facts.daily.equity_paise, facts.daily.drawdowns
    if not equity:
        return ""
    capital = equity[0] - facts.pnl_paise[0]
    span = f"{facts.days[0].isoformat()} to {facts.days[-1].isoformat()}, at each day's end"
    return (
        f"<section><h2>Equity</h2><p>{span}: lowest {format_rupees(min(capital, *equity))}, highest "
        f"{format_rupees(max(capital, *equity))}</p>{line_chart([capital, *equity], style='equity', label='Equity')}"
        f"<h2>Drawdown</h2><p>deepest {_percent(facts.daily.max_drawdown)}, longest "
        f"{facts.daily.longest_drawdown_days} trading days</p>"
        f"{line_chart([0.0, *drawdowns], style='loss', label='Drawdown', base=0.0)}</section>"
    )


def _months(facts: PageFacts) -> str:
    returns = monthly_returns(facts.days, facts.daily.returns)
    rows = []
    for year in sorted({year for year, _ in returns}):
        whole = 1.0
        cells = [str(year)]
        for month in range(1, 13):
            found = returns.get((year, month))
            whole *= 1 + (found or 0.0)
            cells.append("" if found is None else _signed(_percent(found), found))
        rows.append([*cells, _signed(_percent(whole - 1), whole - 1)])
    return _table("Months", ("", *_MONTHS, "Year"), rows)


def _distribution(facts: PageFacts) -> str:
    multiples = [trade["r_multiple"] for trade in facts.trades if trade["r_multiple"] is not None]
    if not multiples:
        return ""
    widest = max(1.0, *(abs(one) for one in multiples))
    counts = [0] * (_BARS + 1)  # an even number: zero lies between two bars
    for one in multiples:
        counts[min(_BARS, int((one + widest) / (2 * widest) * (_BARS + 1)))] += 1
    chart = bar_chart(counts, losing=(_BARS + 1) // 2, label="Trades by R")
    mean = sum(multiples) / len(multiples)
    said = f"from {-widest:.1f} R to {widest:.1f} R, mean {mean:.2f} R"
    return f"<section><h2>Trades by R</h2><p>{said}</p>{chart}</section>"


def _costs(facts: PageFacts) -> str:
    total = facts.report.total
    rows = [
        [escape(name), format_rupees(paise), _percent(paise / total.charges_paise)]
        for kind, name in CHARGE_NAMES.items()
        if (paise := total.charges.parts[kind])
    ]
    return _table("Costs", ("kind", "paid", "share"), rows)


def _groups(facts: PageFacts, by: str) -> str:
    found: dict[str, list[dict[str, Any]]] = {}
    for trade in facts.trades:
        found.setdefault(trade[by], []).append(trade)
    rows = []
    for name, trades in sorted(found.items()):
        net = sum(one["net_pnl_paise"] or 0 for one in trades)
        charges = sum(one["charges_paise"] for one in trades)
        won = sum((one["net_pnl_paise"] or 0) > 0 for one in trades) / len(trades)
        money = [format_rupees(net + charges), format_rupees(charges), _signed(format_rupees(net), net)]
        rows.append([escape(name), f"{len(trades):,}", _percent(won), *money])
    return _table(f"By {by}", (by, "trades", "winners", "gross", "charges", "net"), rows)


def _prices(facts: PageFacts) -> str:
    sections = []
    for symbol, prices in facts.prices.items():
        made = [
            (one["opened_ns"], one["entry_value_paise"] / one["entry_quantity"], one["closed_ns"],
             one["exit_value_paise"] / one["exit_quantity"], (one["net_pnl_paise"] or 0) > 0)
            for one in facts.trades[:_TRADES_MAX]
            if one["symbol"] == symbol and one["exit_quantity"] and one["closed_ns"] is not None
        ]  # fmt: skip
        if made:
            chart = price_chart(prices, made, label=f"Price of {symbol} with trades")
            sections.append(f"<section><h2>{escape(symbol)}: price and trades</h2>{chart}</section>")
    return "".join(sections)


def _answers(facts: PageFacts) -> str:
    sections = "".join(f'<p class="warn">{escape(line)}</p>' for line in facts.raised)
    for strategy, said in facts.report.answers.items():
        counted = [one for kind in (said.errors, said.holds) for one in said.commonest(kind, _REASONS_SHOWN)]
        rows = [[escape(one.shown), f"{one.number:,}", _when(one.first_ns)] for one in counted]
        left_out = len(said.errors) + len(said.holds) - len(counted)
        if left_out:
            rows.append([f"and {left_out:,} other reasons", "", ""])
        actions = ", ".join(f"{name} {count:,}" for name, count in said.actions.most_common())
        sections += _table(
            f"{strategy}: why it held ({actions})", ("reason", "times", "first"), rows, style="wide words"
        )
    return sections


def _blocks(facts: PageFacts) -> str:
    refused = sorted(facts.report.refusals, key=lambda one: -one.number)
    rows = [
        [escape(one.rule), one.verdict, f"{one.number:,}", escape(f"{one.strategy} {one.symbol}".strip()),
         _when(one.first_ns), escape(one.detail)]
        for one in refused[:_REFUSALS_SHOWN]
    ]  # fmt: skip
    if len(refused) > _REFUSALS_SHOWN:
        rows.append([f"and {len(refused) - _REFUSALS_SHOWN:,} others", "", "", "", "", ""])
    head = ("rule", "verdict", "times", "of", "first", "what it said first")
    return _table("Refused by risk", head, rows, style="wide told")


def _trades(facts: PageFacts) -> str:
    rows = []
    for one in facts.trades[:_TRADES_MAX]:
        net = one["net_pnl_paise"] or 0
        names = [escape(one["strategy"]), escape(one["symbol"]), one["side"], f"{one['entry_quantity']:,}"]
        shares = [_number(one[name]) for name in ("r_multiple", "mae_r", "mfe_r")]
        rows.append([
            _when(one["opened_ns"]), _when(one["closed_ns"]), *names, _signed(format_rupees(net), net), *shares,
            escape(one["exit_reason"] or "open"),
        ])  # fmt: skip
    more = len(facts.trades) - len(rows)
    title = "Trades" + (f": the first {len(rows):,}; {more:,} more are in the file of --trades" if more else "")
    head = ("opened (IST)", "closed (IST)", "strategy", "symbol", "side", "quantity", "net", "R", "MAE", "MFE", "exit")
    return _table(title, head, rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, style: str = "wide") -> str:
    """Cells are HTML already, titles and heads are not."""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        f'<section><h2>{escape(title)}</h2><div class="{style}"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _signed(text: str, value: float) -> str:
    return f'<span class="{"loss" if value < 0 else "win"}">{text}</span>' if value else text


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{share:.2%}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def _when(ts_ns: int | None) -> str:
    return "" if ts_ns is None else f"{ist_datetime(ts_ns):%Y-%m-%d %H:%M:%S} IST"
