"""The figures of a series of daily results.

    equity     capital + the sum of the results up to and with that day
    return     of a day: its result / the equity before it; 0 where that equity was not positive
    drawdown   of a day: equity / the highest equity so far (the capital counts) - 1, never positive
    Sharpe     mean / sample deviation x sqrt(252)
    Sortino    mean / sqrt(sum of squared losses / number of days) x sqrt(252)
    CAGR       (last equity / capital) ^ (252 / days) - 1

No rate without risk is taken off. A figure is None where it is not defined: fewer than two days, no deviation, no loss,
nothing left of the capital.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import fmean, stdev
from typing import Final

from tradebus.kernel.errors import InvalidInput

DAYS_PER_YEAR: Final = 252


@dataclass(frozen=True, slots=True)
class DailyFigures:
    """One entry per day in `equity_paise`, `returns` and `drawdowns`; the rest over all of them."""

    equity_paise: tuple[int, ...]
    returns: tuple[float, ...]
    drawdowns: tuple[float, ...]
    total_return: float
    cagr: float | None
    sharpe: float | None
    sortino: float | None
    max_drawdown: float
    longest_drawdown_days: int


def daily_figures(pnl_paise: Sequence[int], *, capital_paise: int) -> DailyFigures:
    """`pnl_paise`: the result of each trading day, quiet ones too, ascending. Raises InvalidInput for a capital that is
    not positive."""
    if capital_paise <= 0:
        raise InvalidInput(f"capital_paise: {capital_paise} must be positive")
    equity, returns, drawdowns = [], [], []
    now = highest = capital_paise
    longest = below = 0
    for pnl in pnl_paise:
        returns.append(pnl / now if now > 0 else 0.0)
        now += pnl
        highest = max(highest, now)
        below = below + 1 if now < highest else 0
        longest = max(longest, below)
        equity.append(now)
        drawdowns.append(now / highest - 1)
    return DailyFigures(
        equity_paise=tuple(equity),
        returns=tuple(returns),
        drawdowns=tuple(drawdowns),
        total_return=now / capital_paise - 1,
        cagr=(now / capital_paise) ** (DAYS_PER_YEAR / len(equity)) - 1 if equity and now > 0 else None,
        sharpe=_sharpe(returns),
        sortino=_sortino(returns),
        max_drawdown=min(drawdowns, default=0.0),
        longest_drawdown_days=longest,
    )


def monthly_returns(days: Sequence[date], returns: Sequence[float]) -> dict[tuple[int, int], float]:
    """By (year, month) the days' returns compounded, ascending as the days are."""
    grown: dict[tuple[int, int], float] = {}
    for day, one in zip(days, returns, strict=True):
        month = (day.year, day.month)
        grown[month] = grown.get(month, 1.0) * (1 + one)
    return {month: factor - 1 for month, factor in grown.items()}


def exposure(instants_ns: Sequence[int], *, held_ns: Sequence[tuple[int, int]]) -> float | None:
    """The share of the instants (ascending) that lie in at least one of the (opened, closed) spans, the end not
    counted. None where there are no instants."""
    inside, place = 0, 0
    for opened, closed in sorted(held_ns):
        begin = max(place, bisect_left(instants_ns, opened))
        place = max(begin, bisect_left(instants_ns, closed))
        inside += place - begin
    return inside / len(instants_ns) if instants_ns else None


def _sharpe(returns: Sequence[float]) -> float | None:
    deviation = stdev(returns) if len(returns) > 1 else 0.0
    return fmean(returns) / deviation * math.sqrt(DAYS_PER_YEAR) if deviation else None


def _sortino(returns: Sequence[float]) -> float | None:
    squares = math.fsum(one * one for one in returns if one < 0)
    return fmean(returns) / math.sqrt(squares / len(returns)) * math.sqrt(DAYS_PER_YEAR) if squares else None
