"""Sessions, holidays and trading days, by date."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.calendar import (
    MarketClass,
    TradingSession,
    holiday_label,
    holidays_known,
    is_regular_day,
    is_settlement_day,
    is_trading_day,
    next_trading_day,
    parse_holidays,
    previous_trading_day,
    session_for,
    settlement_day,
)
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_time

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
days = st.dates(min_value=date(2000, 1, 1), max_value=date(2035, 12, 31))
classes = st.sampled_from(MarketClass)


def open_session(day: date, market_class: str) -> TradingSession:
    session = session_for(day, market_class)
    assert session is not None, f"{day} is closed"
    return session


def times(session: TradingSession) -> list[str]:
    moments = (session.open_ns, session.entry_end_ns, session.square_off_ns, session.close_ns)
    return [f"{ist_time(moment):%H:%M}" for moment in moments]


@pytest.mark.parametrize(
    ("day", "market_class", "opens", "last_entry", "square_off", "closes", "bars"),
    [
        ("2012-11-01", "index", "09:15", "15:00", "15:15", "15:30", 375),
        ("2026-07-31", "equity_fno", "09:15", "15:00", "15:15", "15:30", 375),
        ("2026-07-31", "derivative", "09:15", "15:00", "15:15", "15:30", 375),
        ("2026-08-03", "equity", "09:15", "15:00", "15:15", "15:30", 375),
        ("2026-08-03", "equity_fno", "09:15", "14:45", "15:00", "15:15", 360),
        ("2026-08-03", "derivative", "09:15", "15:10", "15:25", "15:40", 385),
        ("2026-08-03", "index", "09:15", "14:45", "15:00", "15:15", 360),
        ("2026-02-01", "derivative", "09:15", "15:00", "15:15", "15:30", 375),  # a Sunday
        ("2025-10-21", "equity", "13:45", "14:40", "14:42", "14:45", 60),
        ("2018-11-07", "index", "17:30", "18:25", "18:27", "18:30", 60),
        ("2010-01-04", "equity", "09:00", "15:00", "15:15", "15:30", 390),
        ("2009-06-01", "equity", "09:55", "15:00", "15:15", "15:30", 335),
    ],
)
def test_the_hours_of_a_day(
    day: str, market_class: str, opens: str, last_entry: str, square_off: str, closes: str, bars: int
) -> None:
    session = open_session(date.fromisoformat(day), market_class)
    assert times(session) == [opens, last_entry, square_off, closes]
    assert session.expected_bars(60) == bars


def test_a_disaster_recovery_saturday_has_two_windows() -> None:
    session = open_session(date(2024, 3, 2), "derivative")
    (first_open, first_close), (second_open, second_close) = session.windows
    at = [f"{ist_time(moment):%H:%M}" for moment in (first_open, first_close, second_open, second_close)]
    assert at == ["09:15", "10:00", "11:30", "12:30"]
    assert session.contains(first_close - 1)
    assert not session.contains(first_close)
    assert not session.contains(second_open - 1)
    assert session.contains(second_open)
    # Aligned to 09:15: the hours from 09:15, 11:15 and 12:15 have trading in them.
    assert [session.expected_bars(seconds) for seconds in (60, 300, 3600, 86_400)] == [105, 21, 3, 1]


def test_half_hours_and_hours_are_aligned_to_the_open() -> None:
    session = open_session(date(2024, 1, 2), "index")
    assert [session.expected_bars(seconds) for seconds in (180, 900, 1800, 3600, 86_400)] == [125, 25, 13, 7, 1]


@pytest.mark.parametrize(
    ("day", "label"),
    [
        ("2025-08-15", "Independence Day"),
        ("2026-11-24", "Guru Nanak Jayanti"),
        ("2026-01-15", "Maharashtra municipal elections"),
        ("2013-11-15", "Muharram"),
        ("2024-01-22", "Ram Mandir consecration"),
    ],
)
def test_a_holiday_is_closed_and_says_why(day: str, label: str) -> None:
    at = date.fromisoformat(day)
    assert not is_trading_day(at)
    assert all(session_for(at, market_class) is None for market_class in MarketClass)
    assert holiday_label(at) == label


@pytest.mark.parametrize("day", ["2024-01-20", "2024-03-02", "2024-05-18", "2020-02-01", "2025-02-01", "2015-02-28"])
def test_a_special_saturday_trades(day: str) -> None:
    at = date.fromisoformat(day)
    assert at.weekday() == 5
    assert is_trading_day(at)
    assert not is_settlement_day(at)


def test_a_muhurat_evening_is_a_trading_day_but_no_settlement_day() -> None:
    diwali = date(2021, 11, 4)
    assert is_trading_day(diwali)
    assert not is_settlement_day(diwali)
    assert holiday_label(diwali) == "Diwali Laxmi Pujan"
    assert open_session(diwali, "derivative").label == "Muhurat trading"


def test_the_year_2026_has_the_sixteen_published_holidays() -> None:
    closed = [day for day in _days_of(2026) if day.weekday() < 5 and not is_trading_day(day)]
    assert [f"{day:%m-%d}" for day in closed] == [
        "01-15", "01-26", "03-03", "03-26", "03-31", "04-03", "04-14", "05-01",
        "05-28", "06-26", "09-14", "10-02", "10-20", "11-10", "11-24", "12-25",
    ]  # fmt: skip


def test_the_year_2025_has_fourteen_holidays_one_of_them_with_an_hours_trading() -> None:
    closed = [day for day in _days_of(2025) if day.weekday() < 5 and not is_settlement_day(day)]
    assert len(closed) == 14
    assert [day for day in closed if is_trading_day(day)] == [date(2025, 10, 21)]


def test_a_clearing_holiday_trades_and_does_not_settle() -> None:
    for day in (date(2026, 4, 1), date(2026, 8, 26)):
        assert is_trading_day(day)
        assert is_regular_day(day)
        assert not is_settlement_day(day)
    assert settlement_day(date(2026, 8, 25)) == date(2026, 8, 27)
    assert settlement_day(date(2026, 3, 30)) == date(2026, 4, 2)  # a holiday, then the banks' closing
    assert settlement_day(date(2026, 11, 6)) == date(2026, 11, 9)  # Muhurat on the Sunday settles nothing


def test_the_muhurat_evenings_are_all_there() -> None:
    evenings = [day for year in range(2012, 2027) for day in _days_of(year) if _is_muhurat(day)]
    assert [day.year for day in evenings] == list(range(2012, 2027))
    assert date(2013, 11, 3) in evenings
    assert date(2026, 11, 8) in evenings


def _is_muhurat(day: date) -> bool:
    session = session_for(day, "equity")
    return session is not None and session.label == "Muhurat trading"


def test_the_range_of_complete_holiday_lists_is_told() -> None:
    assert [year for year in range(2008, 2030) if holidays_known(year)] == list(range(2012, 2027))


@given(days, classes)
def test_a_sessions_moments_are_in_order(day: date, market_class: str) -> None:
    session = session_for(day, market_class)
    assert (session is not None) == is_trading_day(day)
    if session is None:
        return
    edges = [edge for window in session.windows for edge in window]
    assert edges == sorted(set(edges))
    assert session.open_ns == session.entry_start_ns < session.entry_end_ns < session.square_off_ns < session.close_ns
    assert session.contains(session.square_off_ns)
    assert {ist_date(edge) for edge in edges} == {day}
    assert session.contains(session.open_ns)
    spans = [(phase.start_ns, phase.end_ns) for phase in session.phases]
    assert spans == sorted(spans)
    assert all(before[1] <= after[0] for before, after in pairwise(sorted([*spans, *session.windows])))
    assert session.end_ns >= session.close_ns
    assert not session.contains(session.close_ns)


@given(days, classes, st.sampled_from([60, 180, 300, 900, 1800, 3600, 86_400]))
def test_expected_bars_are_those_with_trading_in_them(day: date, market_class: str, timeframe_seconds: int) -> None:
    session = session_for(day, market_class)
    if session is None:
        return
    width = timeframe_seconds * NANOSECONDS_PER_SECOND
    seen = {
        (moment - session.open_ns) // width
        for moment in range(session.open_ns, session.close_ns, MINUTE_NS)
        if session.contains(moment)
    }
    assert session.expected_bars(timeframe_seconds) == len(seen)


@given(days)
def test_next_and_previous_trading_day_are_the_nearest(day: date) -> None:
    after, before = next_trading_day(day), previous_trading_day(day)
    assert before < day < after
    assert is_trading_day(after)
    assert is_trading_day(before)
    between = [before + timedelta(days=count) for count in range(1, (after - before).days)]
    assert not any(is_trading_day(other) for other in between if other != day)
    assert previous_trading_day(after) == (day if is_trading_day(day) else before)


def test_an_unknown_class_names_the_valid_ones() -> None:
    with pytest.raises(InvalidInput, match=r"'derivatives' is not one of .*did you mean 'derivative'"):
        session_for(date(2024, 1, 2), "derivatives")


def test_a_date_before_the_rules_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no rule is known for 1999-06-01"):
        session_for(date(1999, 6, 1), "equity")


def test_a_refreshed_holiday_list_is_read_in_the_documented_shape() -> None:
    read = parse_holidays('{"NSE": [{"date": "2027-01-26", "label": "Republic Day", "session": "closed"}]}')
    assert [(day, row.label, row.session) for day, row in read.items()] == [
        (date(2027, 1, 26), "Republic Day", "closed"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"BSE": []}', "no list under the key 'NSE'"),
        ('{"NSE": [{"date": "2027-13-01", "label": "x", "session": "closed"}]}', "NSE.0.date"),
        ('{"NSE": [{"date": "2027-01-26", "label": "x", "session": "half"}]}', "NSE.0.session"),
        ('{"NSE": [{"date": "2027-01-26", "label": "x"}]}', "NSE.0.session"),
        ("[]", "holidays: "),
        (
            '{"NSE": [{"date": "2027-01-26", "label": "x", "session": "closed"},'
            ' {"date": "2027-01-26", "label": "y", "session": "closed"}]}',
            "2027-01-26 is listed twice",
        ),
    ],
)
def test_a_bad_holiday_list_says_what_is_wrong_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match="holidays: ") as caught:
        parse_holidays(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def _days_of(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)
