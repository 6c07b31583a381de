"""Upstox's V3 candles as CANDLE records, in calls that Upstox allows.

A candle is `[time with zone, open, high, low, close, volume, open interest]`, newest first; a day's is stamped with the
Indian midnight it began at. The day under way is not in the history but at another address (`intraday`).
"""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from tradebus.brokers.upstox.replies import Unreadable, moment_of, paise, row_of, whole
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date

_NAMES = ("time", "open", "high", "low", "close", "volume", "oi")
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


def candles_of(data: object, *, timeframe_seconds: int) -> Records:
    """CANDLE records, ascending, instrument 0. Raises Unreadable naming the row."""
    rows = row_of(data, what="history").get("candles")
    if not isinstance(rows, list):
        raise Unreadable("history: there is no list of candles")
    candles: Records = np.zeros(len(rows), CANDLE)
    for number, row in enumerate(rows):
        try:
            _write(candles[number], row, timeframe_seconds)
        except Unreadable as error:
            raise Unreadable(f"candle {number}: {error}") from None
    return candles[np.argsort(candles["ts_open_ns"], kind="stable")]


def joined(parts: list[Records], *, from_ns: int, to_ns: int) -> Records:
    """One ascending run without repeats, from_ns <= open < to_ns; of candles of one instant the last part's stays."""
    candles = np.concatenate([np.zeros(0, CANDLE), *parts])[::-1]
    _, newest = np.unique(candles["ts_open_ns"], return_index=True)
    candles = candles[newest]
    return candles[(candles["ts_open_ns"] >= from_ns) & (candles["ts_open_ns"] < to_ns)]


def _write(candle: np.void, row: object, timeframe_seconds: int) -> None:
    if not isinstance(row, list) or len(row) not in (6, 7):
        raise Unreadable(f"{row!r:.60} has not six or seven fields")
    cells = dict(zip(_NAMES, row, strict=False))
    open_ns = moment_of(cells["time"], name="time")
    prices = [paise(cells, name) for name in ("open", "high", "low", "close")]
    volume = whole(cells, "volume")
    interest = whole(cells, "oi") if cells.get("oi") is not None else 0
    if not (0 < prices[2] <= min(prices) and prices[1] >= max(prices)) or volume < 0 or interest < 0:
        raise Unreadable(f"{row!r:.120} is no candle")
    candle["ts_open_ns"] = open_ns
    candle["ts_close_ns"] = open_ns + timeframe_seconds * NANOSECONDS_PER_SECOND
    candle["open_paise"], candle["high_paise"], candle["low_paise"], candle["close_paise"] = prices
    candle["volume"], candle["open_interest"] = volume, interest
    candle["timeframe_seconds"] = timeframe_seconds
