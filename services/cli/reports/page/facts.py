"""What the page says, gathered from a run of the engine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.cli.reports.report import RunReport
from tradebus.kernel.time import ist_date
from tradebus.performance.daily import DailyFigures, daily_figures, exposure

PricedInstant = tuple[int, str, int]  # instant, symbol, price: as decisions have them


@dataclass(frozen=True, slots=True)
class PageFacts:
    """`daily` and `pnl_paise` have one entry per day of `days`; `prices` by symbol (instant, paise), ascending."""

    title: str
    report: RunReport
    days: tuple[date, ...]
    pnl_paise: tuple[int, ...]
    daily: DailyFigures
    prices: Mapping[str, Sequence[tuple[int, int]]]
    raised: tuple[str, ...]  # what strategies raised, with file and line

    @property
    def exposure(self) -> float | None:
        """The share of the instants decided at in which something was held; what is open still is not counted."""
        instants = sorted({ts_ns for points in self.prices.values() for ts_ns, _ in points})
        held = [(one["opened_ns"], one["closed_ns"]) for one in self.trades if one["closed_ns"] is not None]
        return exposure(instants, held_ns=held)

    @property
    def trades(self) -> tuple[dict[str, Any], ...]:
        return self.report.trades


def gather(
    report: RunReport, priced: Iterable[PricedInstant], *, title: str, days: Sequence[date], capital_paise: int,
    raised: Sequence[str],
) -> PageFacts:  # fmt: skip
    """`capital_paise` is that of all sessions together. A trade counts on the day it was closed."""
    prices: dict[str, dict[int, int]] = {}
    for ts_ns, symbol, price_paise in priced:
        prices.setdefault(symbol, {})[ts_ns] = price_paise
    by_day = dict.fromkeys(days, 0)
    for trade in report.trades:
        if trade["closed_ns"] is not None:
            closed = ist_date(trade["closed_ns"])
            by_day[closed] = by_day.get(closed, 0) + (trade["net_pnl_paise"] or 0)
    ordered = tuple(sorted(by_day))
    pnl_paise = tuple(by_day[day] for day in ordered)
    return PageFacts(
        title=title,
        report=report,
        days=ordered,
        pnl_paise=pnl_paise,
        daily=daily_figures(pnl_paise, capital_paise=capital_paise),
        prices={symbol: sorted(points.items()) for symbol, points in sorted(prices.items())},
        raised=tuple(raised),
    )
