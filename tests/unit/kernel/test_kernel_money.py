"""Money: exact in paise, rounded as exchanges do, grouped as Indians read it."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.money import (
    RUPEES_MAX,
    format_rupees,
    paise_to_rupees,
    round_down_to_lot,
    round_half_up,
    round_to_tick,
    rupees_to_paise,
)

amounts = st.integers(-(10**17), 10**17)
ticks = st.integers(1, 10_000)


@given(amounts)
def test_paise_to_rupees_and_back_is_exact(paise: int) -> None:
    rupees = paise_to_rupees(paise)
    assert rupees.as_tuple().exponent == -2
    assert rupees_to_paise(rupees, name="x") == rupees_to_paise(str(rupees), name="x") == paise


@given(st.integers(-RUPEES_MAX, RUPEES_MAX))
def test_whole_rupees_are_a_hundred_paise_each(rupees: int) -> None:
    assert rupees_to_paise(rupees, name="x") == rupees * 100


@given(st.decimals(-RUPEES_MAX, RUPEES_MAX, allow_nan=False, allow_infinity=False))
def test_an_amount_is_exact_or_refused(value: Decimal) -> None:
    exact = Fraction(value) * 100
    if exact.denominator == 1:
        assert rupees_to_paise(value, name="x") == exact
    else:
        with pytest.raises(InvalidInput, match=r"^x: .* is finer than one paisa$"):
            rupees_to_paise(value, name="x")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is not an amount in rupees"),
        ("ten", "is not an amount in rupees"),
        ("1,000", "is not an amount in rupees"),
        ("NaN", "is not an amount in rupees"),
        ("sNaN", "is not an amount in rupees"),
        ("Infinity", "is not an amount in rupees"),
        ("-inf", "is not an amount in rupees"),
        ("1e16", "is more than 1,000,000,000,000,000 rupees"),
        ("-1e999999999", "is more than 1,000,000,000,000,000 rupees"),
        ("1e-999999", "is finer than one paisa"),
        ("0.005", "is finer than one paisa"),
        ("999999999999999.0000000000000000000000000000001", "is finer than one paisa"),
    ],
)
def test_what_is_no_exact_amount_is_refused_by_name(value: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rupees_to_paise(value, name="data.capital")
    assert str(caught.value).startswith("data.capital: ")
    assert str(caught.value).endswith(problem)


def test_zeros_behind_the_paisa_are_no_fraction() -> None:
    assert rupees_to_paise("1.2500000000000000000000000000000000000000000", name="x") == 125


@given(st.decimals(-(10**15), 10**15, places=4))
def test_halves_are_rounded_away_from_zero(value: Decimal) -> None:
    rounded = round_half_up(value)
    assert abs(Fraction(rounded) - Fraction(value)) <= Fraction(1, 2)
    if abs(Fraction(value) - int(value)) == Fraction(1, 2):
        assert abs(rounded) == abs(int(value)) + 1


@given(amounts, ticks)
def test_a_price_is_rounded_to_the_nearest_tick_halves_up(price: int, tick: int) -> None:
    rounded = round_to_tick(price, tick)
    assert rounded % tick == 0
    assert -tick <= 2 * (price - rounded) < tick
    assert round_to_tick(rounded, tick) == rounded


@given(st.integers(-1000, 1000), st.integers(1, 500))
def test_half_a_tick_goes_up(ticks_below: int, half_tick: int) -> None:
    tick = 2 * half_tick
    assert round_to_tick(ticks_below * tick + half_tick, tick) == (ticks_below + 1) * tick


@given(st.integers(-1000, 10**9), st.integers(1, 10_000))
def test_a_quantity_is_cut_to_whole_lots(quantity: int, lot: int) -> None:
    cut = round_down_to_lot(quantity, lot)
    assert cut % lot == 0
    assert 0 <= cut <= max(0, quantity) < cut + lot


@given(amounts)
def test_rupees_for_people_hold_the_exact_amount(paise: int) -> None:
    text = format_rupees(paise)
    assert Decimal(text.replace("₹", "").replace(",", "")) * 100 == paise


@given(st.integers(0, 10**17))
def test_rupees_are_grouped_by_three_and_then_by_two(paise: int) -> None:
    whole = format_rupees(paise)[1:-3]
    head, *groups = whole.split(",")
    assert all(len(group) == 2 for group in groups[:-1])
    assert not groups or (len(groups[-1]) == 3 and 1 <= len(head) <= 2)
    assert len(head) <= 3
    assert format_rupees(-paise) == ("-" if paise else "") + format_rupees(paise)


@pytest.mark.parametrize(
    ("paise", "text"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (-5, "-₹0.05"),
        (99_999, "₹999.99"),
        (100_000, "₹1,000.00"),
        (12_345_670, "₹1,23,456.70"),
        (1_234_567_890_12, "₹1,23,45,67,890.12"),
    ],
)
def test_rupees_as_they_are_written(paise: int, text: str) -> None:
    assert format_rupees(paise) == text
