"""Which days a schedule leaves in, by the calendar's own expiries."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import days_to_expiry, is_regular_day, left_out, nearest_expiry
from tradebus.contracts.sessions import EntryDay, TradingDays

# NIFTY expires on Tuesdays, weekly; BANKNIFTY on the month's last Tuesday. 25 December 2026 is a holiday, a Friday.
MONDAY, TUESDAY, WEDNESDAY = date(2026, 12, 7), date(2026, 12, 8), date(2026, 12, 9)
DAYS = st.dates(date(2025, 10, 1), date(2026, 12, 31))
UNDERLYINGS = st.sampled_from(["NIFTY", "BANKNIFTY", "RELIANCE"])
SCHEDULES = st.builds(
    TradingDays,
    days=st.none() | st.sets(st.sampled_from(EntryDay), min_size=1).map(lambda days: tuple(sorted(days))),
    days_to_expiry=st.none() | st.sets(st.integers(0, 25), min_size=1).map(tuple),
    first_day=st.none() | DAYS.map(date.isoformat),
    last_day=st.none() | DAYS.map(date.isoformat),
)


@pytest.mark.parametrize(
    ("underlying", "day", "expected"),
    [
        ("NIFTY", TUESDAY, 0), ("NIFTY", MONDAY, 1), ("NIFTY", WEDNESDAY, 4), ("NIFTY", date(2026, 12, 5), 2),
        ("BANKNIFTY", date(2026, 12, 29), 0), ("BANKNIFTY", date(2026, 12, 24), 2), ("BANKNIFTY", TUESDAY, 14),
    ],
)  # fmt: skip
def test_days_of_trading_are_counted_over_weekends_and_holidays(underlying: str, day: date, expected: int) -> None:
    assert days_to_expiry(underlying, day) == expected


@given(UNDERLYINGS, DAYS)
def test_they_count_down_by_one_with_each_day_of_trading(underlying: str, day: date) -> None:
    found, after = days_to_expiry(underlying, day), day + timedelta(days=1)
    assert (found == 0) is (nearest_expiry(underlying, day) == day)
    if found:
        assert found - days_to_expiry(underlying, after) == is_regular_day(after)


@pytest.mark.parametrize(
    ("schedule", "day", "why"),
    [
        (TradingDays(), TUESDAY, None),
        (TradingDays(days=(EntryDay.MON, EntryDay.WED)), MONDAY, None),
        (TradingDays(days=(EntryDay.MON, EntryDay.WED)), TUESDAY, "Tue is not one of MON, WED"),
        (TradingDays(days=(EntryDay.MON,)), date(2026, 12, 5), "Sat is not one of MON"),
        (TradingDays(expiry_days_only=True), TUESDAY, None),
        (TradingDays(expiry_days_only=True), MONDAY, "1 days of trading are left to the expiry of NIFTY, 0 are asked"),
        (TradingDays(days_to_expiry=(0, 1)), MONDAY, None),
        (TradingDays(days_to_expiry=(0, 1)), WEDNESDAY, "4 days of trading are left to the expiry of NIFTY, 0 or 1"),
        (TradingDays(first_day="2026-12-08"), MONDAY, "it begins on 2026-12-08"),
        (TradingDays(first_day="2026-12-08", last_day="2026-12-08"), TUESDAY, None),
        (TradingDays(last_day="2026-12-08"), WEDNESDAY, "its last day was 2026-12-08"),
    ],
)
def test_what_is_left_out_has_a_reason(schedule: TradingDays, day: date, why: str | None) -> None:
    found = left_out(schedule, day, underlying="NIFTY")
    assert (found is None) if why is None else (found or "").startswith(why)


@given(SCHEDULES, DAYS, UNDERLYINGS)
def test_a_day_is_left_in_where_everything_that_is_said_holds(
    schedule: TradingDays, day: date, underlying: str
) -> None:
    parts = [
        schedule.first_day is None or day.isoformat() >= schedule.first_day,
        schedule.last_day is None or day.isoformat() <= schedule.last_day,
        schedule.days is None or day.strftime("%a").upper() in schedule.days,
        schedule.days_to_expiry is None or days_to_expiry(underlying, day) in schedule.days_to_expiry,
    ]
    assert (left_out(schedule, day, underlying=underlying) is None) is all(parts)
