"""The figures of daily results: by hand, against pandas, and where they are not defined."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import InvalidInput
from tradebus.performance.daily import daily_figures, exposure, monthly_returns


def test_four_days_by_hand() -> None:
    figures = daily_figures([1_000, -2_200, 0, 1_320], capital_paise=10_000)
    assert figures.equity_paise == (11_000, 8_800, 8_800, 10_120)
    assert figures.returns == pytest.approx((0.10, -0.20, 0.0, 0.15))
    assert figures.drawdowns == pytest.approx((0.0, -0.2, -0.2, -0.08))
    assert figures.max_drawdown == pytest.approx(-0.2)
    assert figures.longest_drawdown_days == 3
    assert figures.total_return == pytest.approx(0.012)
    assert figures.cagr == pytest.approx(1.012**63 - 1)
    # The mean is 0.0125, the losses' root mean square over four days 0.1.
    assert figures.sortino == pytest.approx(0.125 * 252**0.5)


@given(st.lists(st.integers(-50_000, 50_000), min_size=2, max_size=60).filter(lambda pnl: len(set(pnl)) > 1))
def test_the_same_as_pandas_makes_of_it(pnl: list[int]) -> None:
    figures = daily_figures(pnl, capital_paise=10_000_000)
    equity = pd.Series([10_000_000, *pnl]).cumsum()
    returns = equity.pct_change().dropna()
    assert figures.returns == pytest.approx(tuple(returns))
    assert figures.max_drawdown == pytest.approx((equity / equity.cummax() - 1).min())
    assert figures.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * np.sqrt(252))
    downside = np.sqrt(np.mean(np.minimum(returns, 0) ** 2))
    if downside:
        assert figures.sortino == pytest.approx(returns.mean() / downside * np.sqrt(252))
    else:
        assert figures.sortino is None


def test_a_loss_on_the_first_day_is_a_drawdown_from_the_capital() -> None:
    assert daily_figures([-500], capital_paise=10_000).max_drawdown == pytest.approx(-0.05)


def test_what_is_not_defined_is_none() -> None:
    quiet = daily_figures([0, 0, 0], capital_paise=10_000)
    assert (quiet.sharpe, quiet.sortino, quiet.cagr, quiet.max_drawdown) == (None, None, 0.0, 0.0)
    nothing = daily_figures([], capital_paise=10_000)
    assert (nothing.sharpe, nothing.sortino, nothing.cagr, nothing.total_return) == (None, None, None, 0.0)
    ruined = daily_figures([-10_000, 500], capital_paise=10_000)
    assert ruined.returns == (-1.0, 0.0)
    assert daily_figures([-12_000], capital_paise=10_000).cagr is None
    with pytest.raises(InvalidInput, match="capital_paise"):
        daily_figures([1], capital_paise=0)


def test_months_compound_their_days() -> None:
    days = (date(2026, 1, 30), date(2026, 1, 31), date(2026, 2, 2))
    assert monthly_returns(days, (0.1, 0.1, -0.5)) == pytest.approx({(2026, 1): 0.21, (2026, 2): -0.5})


def test_an_instant_that_two_trades_share_is_exposed_once() -> None:
    instants = tuple(range(0, 100, 5))  # twenty
    assert exposure(instants, held_ns=[(0, 10), (5, 20), (30, 40)]) == pytest.approx(0.3)
    assert exposure(instants, held_ns=[(0, 50), (10, 20)]) == pytest.approx(0.5)
    assert exposure(instants, held_ns=[]) == 0.0
    assert exposure([], held_ns=[(0, 10)]) is None
