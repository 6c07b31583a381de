"""Upstox's V3 candles as CANDLE records, in calls that Upstox allows.

A candle is `[time with zone, open, high, low, close, volume, open interest]`, newest first; a day's is stamped with the
Indian midnight it began at. The day under way is not in the history but at another address (`intraday`).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from tradebus.brokers.common.replies.candles import Sifted, candles_in
from tradebus.brokers.upstox.replies import moment_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date

# Timeframe seconds: Upstox's unit and interval, and the days one call may span (a month, a quarter, a decade).
INTERVALS = {
    60: ("minutes", 1, 28),
    180: ("minutes", 3, 28),
    300: ("minutes", 5, 28),
    600: ("minutes", 10, 28),
    900: ("minutes", 15, 28),
    1800: ("minutes", 30, 89),
    3600: ("hours", 1, 89),
    86_400: ("days", 1, 3650),
}


def interval_of(timeframe_seconds: int) -> tuple[str, int, int]:
    """Unit, interval and days a call. Raises InvalidInput naming the timeframes there are."""
    found = INTERVALS.get(timeframe_seconds)
    if found is None:
        known = ", ".join(str(seconds) for seconds in INTERVALS)
        raise InvalidInput(f"timeframe_seconds: no candles of {timeframe_seconds} s at Upstox; there are {known}")
    return found


def spans(*, from_ns: int, to_ns: int, days: int) -> Iterator[tuple[date, date]]:
    """First and last Indian day, both included, of the calls that cover [from_ns, to_ns)."""
    first, end = ist_date(from_ns), ist_date(to_ns - 1)
    while first <= end:
        last = min(first + timedelta(days=days - 1), end)
        yield first, last
        first = last + timedelta(days=1)


def candles_of(data: object, *, timeframe_seconds: int) -> Sifted:
    """Ascending, instrument 0. Raises Unreadable where it is no history."""
    sifted = candles_in(
        data, timeframe_seconds=timeframe_seconds, opened_ns=lambda value: moment_of(value, name="time")
    )
    return sifted._replace(candles=sifted.candles[np.argsort(sifted.candles["ts_open_ns"], kind="stable")])
