"""Kite's candles as CANDLE records, in calls that Kite allows.

A candle of Kite is `[time with zone, open, high, low, close, volume, open interest]`; a day's candle is stamped with
the Indian midnight it began at.
"""

from collections.abc import Iterator

import numpy as np

from tradebus.brokers.kite.reference_words import INTERVALS
from tradebus.brokers.kite.replies import Unreadable, moment_of, paise, row_of, whole
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_datetime

_NAMES = ("time", "open", "high", "low", "close", "volume", "oi")


def interval_of(timeframe_seconds: int) -> tuple[str, int]:
    """Kite's word and the nanoseconds one call may span. Raises InvalidInput naming those there are."""
    found = INTERVALS.get(timeframe_seconds)
    if found is None:
        known = ", ".join(str(seconds) for seconds in INTERVALS)
        raise InvalidInput(f"timeframe_seconds: Kite has no candles of {timeframe_seconds} s; it has {known}")
    return found[0], found[1] * NANOSECONDS_PER_DAY


def spans(*, from_ns: int, to_ns: int, span_ns: int) -> Iterator[tuple[str, str]]:
    """Indian wall-clock texts of the calls that cover [from_ns, to_ns); Kite takes both ends as inclusive seconds."""
    while from_ns < to_ns:
        end_ns = min(from_ns + span_ns, to_ns)
        last_ns = max(from_ns, (end_ns - 1) // NANOSECONDS_PER_SECOND * NANOSECONDS_PER_SECOND)
        yield _written(from_ns), _written(last_ns)
        from_ns = end_ns


def candles_of(data: object, *, timeframe_seconds: int) -> Records:
    """CANDLE records in the reply's order, instrument 0. Raises Unreadable naming the row."""
    rows = row_of(data, what="history").get("candles")
    if not isinstance(rows, list):
        raise Unreadable("history: there is no list of candles")
    candles: Records = np.zeros(len(rows), CANDLE)
    for number, row in enumerate(rows):
        try:
            _write(candles[number], row, timeframe_seconds)
        except Unreadable as error:
            raise Unreadable(f"candle {number}: {error}") from None
    return candles


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


def _written(at_ns: int) -> str:
    return ist_datetime(at_ns).strftime("%Y-%m-%d %H:%M:%S")
