"""How far an instrument moves in a day: by the days before, each unit of money whole, the same however it is cut."""

from datetime import date, time, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_to_ns
from tradebus.trading.size.daily_range import ATR_DAYS, DailyBar, daily_atr_paise, day_bars

TODAY = date(2026, 11, 27)
BARS = st.lists(
    st.tuples(st.integers(100, 9_000), st.integers(0, 500), st.floats(0, 1)).map(
        lambda drawn: DailyBar(drawn[0] + drawn[1], drawn[0], drawn[0] + round(drawn[1] * drawn[2]))
    ),
    max_size=20,
)


def minutes(day: date, *prices: tuple[int, int, int]) -> Records:
    """Bars of one minute from 09:15 on: high, low and close."""
    rows = np.zeros(len(prices), CANDLE)
    rows["ts_open_ns"] = ist_to_ns(day, time(9, 15)) + np.arange(len(prices)) * 60 * NANOSECONDS_PER_SECOND
    for name, column in zip(("high_paise", "low_paise", "close_paise"), zip(*prices, strict=True), strict=True):
        rows[name] = column
    return rows


@given(BARS)
def test_it_is_the_mean_true_range_rounded_up(bars: list[DailyBar]) -> None:
    found = daily_atr_paise(bars)
    if len(bars) < ATR_DAYS:
        assert found is None
        return
    ranges = []
    for place, bar in list(enumerate(bars))[-ATR_DAYS:]:
        last = bars[place - 1].close_paise if place else None
        gaps = [] if last is None else [abs(bar.high_paise - last), abs(bar.low_paise - last)]
        ranges.append(max(bar.high_paise - bar.low_paise, *gaps, 0))
    mean = Fraction(sum(ranges), ATR_DAYS)
    assert found is not None
    assert max(1, mean) <= found < max(1, mean) + 1


def test_days_are_put_together_from_their_minutes_and_today_does_not_count() -> None:
    yesterday, today = TODAY - timedelta(days=1), TODAY
    rows = np.concatenate(
        [minutes(yesterday, (110, 100, 105), (120, 101, 103), (107, 95, 99)), minutes(today, (900, 800, 850))]
    )
    before_ns = ist_to_ns(today, time(9, 16))
    assert day_bars(rows, before_ns=before_ns) == [DailyBar(120, 95, 99)]
    assert day_bars(rows[3:], before_ns=before_ns) == []


@pytest.mark.parametrize(("first", "count"), [(30, ATR_DAYS + 1), (3, 3)])
def test_as_many_days_are_looked_at_as_count(first: int, count: int) -> None:
    days = [TODAY - timedelta(days=back) for back in range(first, 0, -1)]
    rows = np.concatenate([minutes(day, (200 + number, 100, 150)) for number, day in enumerate(days)])
    found = day_bars(rows, before_ns=ist_to_ns(TODAY, time(10)))
    assert [bar.high_paise for bar in found] == [200 + number for number in range(first)][-count:]


def test_what_is_months_old_is_no_range_of_today() -> None:
    days = [TODAY - timedelta(days=80 - number) for number in range(ATR_DAYS + 1)]
    rows = np.concatenate([minutes(day, (200, 100, 150)) for day in days])
    assert daily_atr_paise(day_bars(rows, before_ns=ist_to_ns(TODAY, time(10)))) is None
