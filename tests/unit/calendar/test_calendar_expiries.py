"""Expiries by rule and holiday."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import (
    front_month_expiry,
    is_regular_day,
    monthly_expiry,
    nearest_expiry,
    weekly_expiry,
)
from tradebus.kernel.errors import InvalidInput

names = st.sampled_from(["NIFTY", "BANKNIFTY", "FINNIFTY", "RELIANCE"])
days = st.dates(min_value=date(2021, 2, 1), max_value=date(2027, 12, 31))


@pytest.mark.parametrize(
    ("underlying", "month", "expected"),
    [
        ("NIFTY", "2026-11", "2026-11-23"),  # Tuesday the 24th is a holiday
        ("NIFTY", "2026-03", "2026-03-30"),
        ("NIFTY", "2026-01", "2026-01-27"),
        ("NIFTY", "2025-08", "2025-08-28"),  # the last Thursday month
        ("NIFTY", "2025-09", "2025-09-30"),  # the first Tuesday month
        ("NIFTY", "2023-03", "2023-03-29"),
        ("NIFTY", "2023-06", "2023-06-28"),
        ("BANKNIFTY", "2024-02", "2024-02-29"),
        ("BANKNIFTY", "2024-03", "2024-03-27"),  # the first Wednesday month
        ("BANKNIFTY", "2024-12", "2024-12-24"),  # Christmas is a Wednesday
        ("BANKNIFTY", "2025-01", "2025-01-30"),
        ("BANKNIFTY", "2026-02", "2026-02-24"),
        ("FINNIFTY", "2023-11", "2023-11-28"),
        ("FINNIFTY", "2025-02", "2025-02-27"),
        ("RELIANCE", "2021-11", "2021-11-25"),
        ("RELIANCE", "2026-04", "2026-04-28"),
    ],
)
def test_the_expiry_of_a_month(underlying: str, month: str, expected: str) -> None:
    year, number = (int(part) for part in month.split("-"))
    assert monthly_expiry(underlying, year=year, month=number) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("underlying", "day", "expected"),
    [
        ("NIFTY", "2026-08-19", "2026-08-25"),
        ("NIFTY", "2026-08-26", "2026-09-01"),
        ("NIFTY", "2021-11-01", "2021-11-03"),  # Thursday is Diwali: an evening session settles nothing
        ("NIFTY", "2025-10-15", "2025-10-20"),
        ("NIFTY", "2025-08-29", "2025-09-02"),  # from Thursdays to Tuesdays
        ("BANKNIFTY", "2023-09-05", "2023-09-06"),  # the first Wednesday weekly
        ("BANKNIFTY", "2023-09-25", "2023-09-28"),  # the monthly's week has no weekly
        ("BANKNIFTY", "2024-11-13", "2024-11-13"),  # the last weekly
        ("BANKNIFTY", "2024-11-14", "2024-11-27"),
        ("BANKNIFTY", "2026-08-19", "2026-08-25"),
        ("NIFTY", "2015-01-05", "2015-01-29"),  # before there were weeklies
        ("RELIANCE", "2026-08-19", "2026-08-25"),
    ],
)
def test_the_nearest_expiry(underlying: str, day: str, expected: str) -> None:
    assert nearest_expiry(underlying, date.fromisoformat(day)) == date.fromisoformat(expected)


def test_an_underlying_without_weeklies_has_none() -> None:
    assert weekly_expiry("RELIANCE", date(2026, 8, 19)) is None
    assert weekly_expiry("BANKNIFTY", date(2025, 6, 2)) is None
    assert weekly_expiry("NIFTY", date(2018, 6, 1)) is None


@given(names, days)
def test_the_front_month_is_the_nearest_month_not_yet_expired(underlying: str, day: date) -> None:
    front = front_month_expiry(underlying, day)
    assert front >= day
    assert is_regular_day(front)
    before = front.replace(day=1) - timedelta(days=1)
    assert monthly_expiry(underlying, year=before.year, month=before.month) < day


@given(names, days)
def test_the_nearest_expiry_lies_between_today_and_the_front_month(underlying: str, day: date) -> None:
    nearest = nearest_expiry(underlying, day)
    assert day <= nearest <= front_month_expiry(underlying, day)
    assert is_regular_day(nearest)
    assert nearest_expiry(underlying, nearest) == nearest


@given(names, days)
def test_on_expiry_day_the_contract_is_still_the_front_month_and_rolls_the_day_after(
    underlying: str, day: date
) -> None:
    front = front_month_expiry(underlying, day)
    assert front_month_expiry(underlying, front) == front
    assert front_month_expiry(underlying, front + timedelta(days=1)) > front


def test_a_month_before_the_contract_existed_is_refused() -> None:
    with pytest.raises(InvalidInput, match="monthly expiry of FINNIFTY: no rule is known for 2020-12-01"):
        monthly_expiry("FINNIFTY", year=2020, month=12)
