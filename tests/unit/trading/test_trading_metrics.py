"""R figures: a worked example, mirror symmetry, scale invariance, and None where there is no risk."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.signals import Side
from tradebus.kernel.errors import InvalidInput
from tradebus.trading.metrics import TradeMetrics, r_metrics

prices = st.integers(1, 1_000_000)


def measure(
    side: Side = Side.LONG,
    *,
    quantity: int = 100,
    entry: int = 10_000,
    exit_price: int = 10_300,
    charges: int = 0,
    stop: int = 9_800,
    highest: int | None = 10_400,
    lowest: int | None = 9_900,
    expected: int = 9_990,
) -> TradeMetrics:
    return r_metrics(
        side=side,
        quantity=quantity,
        entry_value_paise=entry * quantity,
        exit_value_paise=exit_price * quantity,
        charges_paise=charges,
        initial_stop_paise=stop,
        highest_paise=highest,
        lowest_paise=lowest,
        expected_entry_paise=expected,
    )


def test_a_worked_long_trade() -> None:
    found = measure(charges=2_000)
    assert found.realised_paise == 28_000
    assert found.risk_paise == 20_000
    assert found.r_multiple == pytest.approx(1.4)
    assert found.mae_r == pytest.approx(0.5)
    assert found.mfe_r == pytest.approx(2.0)
    assert found.mfe_captured_pct == pytest.approx(70.0)
    # Ten paise a unit lost at the entry, and the charges: 1,000 + 2,000 of 20,000 risk and of 9,99,000 planned.
    assert found.implementation_shortfall_pct == pytest.approx(15.0)
    assert found.implementation_shortfall_bps == pytest.approx(3_000 / 999_000 * 10_000)


def test_a_planned_exit_counts_in_the_shortfall() -> None:
    found = r_metrics(
        side=Side.SHORT, quantity=10, entry_value_paise=100_000, exit_value_paise=95_000, charges_paise=0,
        initial_stop_paise=10_500, highest_paise=10_100, lowest_paise=9_400,
        expected_entry_paise=10_000, expected_exit_paise=9_400,
    )  # fmt: skip
    assert found.implementation_shortfall_bps == pytest.approx(100.0)  # 1,000 of 1,00,000
    assert found.r_multiple == pytest.approx(1.0)


@given(entry=prices, exit_price=prices, stop=prices, high=prices, low=prices, expected=prices, charges=prices)
def test_long_and_short_are_mirror_images(
    entry: int, exit_price: int, stop: int, high: int, low: int, expected: int, charges: int
) -> None:
    centre = 2_000_001  # mirrored prices stay positive
    long = measure(entry=entry, exit_price=exit_price, stop=stop, highest=high, lowest=low, expected=expected,
                   charges=charges)  # fmt: skip
    short = measure(
        Side.SHORT, entry=centre - entry, exit_price=centre - exit_price, stop=centre - stop, highest=centre - low,
        lowest=centre - high, expected=centre - expected, charges=charges,
    )  # fmt: skip
    assert replace(short, implementation_shortfall_bps=0.0) == replace(long, implementation_shortfall_bps=0.0)


@given(entry=prices, exit_price=prices, stop=prices, high=prices, low=prices, times=st.integers(1, 1000))
def test_the_size_of_the_trade_changes_no_ratio(
    entry: int, exit_price: int, stop: int, high: int, low: int, times: int
) -> None:
    one = measure(quantity=1, entry=entry, exit_price=exit_price, stop=stop, highest=high, lowest=low, expected=entry)
    many = measure(
        quantity=times, entry=entry, exit_price=exit_price, stop=stop, highest=high, lowest=low, expected=entry
    )
    for name in ("r_multiple", "mae_r", "mfe_r", "mfe_captured_pct", "implementation_shortfall_bps"):
        small, large = getattr(one, name), getattr(many, name)
        assert (small is None) == (large is None)
        assert small is None or small == pytest.approx(large)


@given(entry=prices, exit_price=prices, stop=prices, high=prices, low=prices)
def test_excursions_are_never_negative(entry: int, exit_price: int, stop: int, high: int, low: int) -> None:
    found = measure(entry=entry, exit_price=exit_price, stop=stop, highest=high, lowest=low)
    assert (found.risk_paise is None) == (entry <= stop)
    for value in (found.mae_r, found.mfe_r):
        assert value is None or value >= 0


@pytest.mark.parametrize("stop", [10_000, 10_050])
def test_without_a_risk_nothing_is_measured_in_it(stop: int) -> None:
    found = measure(stop=stop)
    assert found.risk_paise is None
    assert found.r_multiple is None
    assert found.mae_r is None
    assert found.mfe_r is None
    assert found.implementation_shortfall_pct is None
    assert found.mfe_captured_pct == pytest.approx(75.0)


def test_a_trade_that_never_moved_in_favour_captured_nothing() -> None:
    assert measure(highest=10_000, exit_price=9_900).mfe_captured_pct is None
    assert measure(highest=None, lowest=None).mfe_r == 0.0


def test_an_empty_trade_is_refused() -> None:
    with pytest.raises(InvalidInput, match="metrics"):
        measure(quantity=0)
