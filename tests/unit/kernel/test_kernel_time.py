"""Time: instants in nanoseconds, and the Indian wall clock."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.kernel.time import (
    IST,
    NANOSECONDS_PER_DAY,
    NANOSECONDS_PER_SECOND,
    datetime_to_ns,
    ist_date,
    ist_datetime,
    ist_midnight_ns,
    ist_time,
    ist_to_ns,
    utc_iso,
)

KOLKATA = ZoneInfo("Asia/Kolkata")
days = st.dates(date(1950, 1, 1), date(2200, 12, 31))
FIRST, LAST = datetime(1950, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
instants = st.integers(datetime_to_ns(FIRST), datetime_to_ns(LAST))


@given(days, st.times())
def test_an_indian_time_survives_the_way_to_an_instant_and_back(day: date, at: time) -> None:
    ts_ns = ist_to_ns(day, at)
    assert (ist_date(ts_ns), ist_time(ts_ns)) == (day, at)
    assert ist_datetime(ts_ns) == datetime.combine(day, at, tzinfo=KOLKATA)


@given(instants)
def test_an_instant_survives_the_way_to_indian_time_and_back(ts_ns: int) -> None:
    assert ist_to_ns(ist_date(ts_ns), ist_time(ts_ns)) == ts_ns // 1000 * 1000
    assert datetime_to_ns(ist_datetime(ts_ns)) == ts_ns // 1000 * 1000


@given(instants)
def test_midnight_is_the_start_of_the_indian_day(ts_ns: int) -> None:
    midnight = ist_midnight_ns(ts_ns)
    assert midnight <= ts_ns < midnight + NANOSECONDS_PER_DAY
    assert midnight == ist_to_ns(ist_date(ts_ns), time(0))


@given(instants)
def test_utc_text_is_the_instant_to_the_microsecond(ts_ns: int) -> None:
    text = utc_iso(ts_ns)
    assert text.endswith("Z")
    assert datetime_to_ns(datetime.fromisoformat(text)) == ts_ns // 1000 * 1000


@given(instants, instants)
def test_utc_text_sorts_by_time(first: int, second: int) -> None:
    assert (utc_iso(first) < utc_iso(second)) is (first // 1000 < second // 1000)


@given(st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None)), st.integers(-14 * 60, 14 * 60))
def test_an_aware_datetime_is_the_same_instant_in_any_zone(naive: datetime, offset_minutes: int) -> None:
    moment = naive.replace(tzinfo=UTC)
    zone = timezone(timedelta(minutes=offset_minutes))
    assert datetime_to_ns(moment.astimezone(zone)) == datetime_to_ns(moment)


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        datetime_to_ns(datetime(2024, 1, 1))  # noqa: DTZ001


def test_the_session_opens_at_a_quarter_to_four_in_utc() -> None:
    opens = ist_to_ns(date(2024, 1, 1), time(9, 15))
    assert utc_iso(opens) == "2024-01-01T03:45:00.000000Z"
    assert opens == 1_704_080_700 * NANOSECONDS_PER_SECOND
    assert ist_datetime(opens).tzinfo is IST
