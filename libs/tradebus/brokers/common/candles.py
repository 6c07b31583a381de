"""Candles as CANDLE records, and the calls that fetch them."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tradebus.brokers.common.rows import Unreadable, paise, row_of, whole
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_NAMES = ("time", "open", "high", "low", "close", "volume", "oi")
OpenedNs = Callable[[object], int]  # a broker's time of a candle; raises Unreadable


def spans(*, from_ns: int, to_ns: int, span_ns: int) -> Iterator[tuple[int, int]]:
    """[from, to) in parts that one call may ask for."""
    while from_ns < to_ns:
        end_ns = min(from_ns + span_ns, to_ns)
        yield from_ns, end_ns
        from_ns = end_ns


def candles_in(data: object, *, timeframe_seconds: int, opened_ns: OpenedNs) -> Records:
    """CANDLE records in the reply's order, instrument 0, of rows `[time, open, high, low, close, volume, open
    interest]`, the last of which may be missing. Raises Unreadable naming the row."""
    rows = row_of(data, what="history").get("candles")
    if not isinstance(rows, list):
        raise Unreadable("history: there is no list of candles")
    candles: Records = np.zeros(len(rows), CANDLE)
    for number, row in enumerate(rows):
        try:
            _write(candles[number], row, timeframe_seconds, opened_ns)
        except Unreadable as error:
            raise Unreadable(f"candle {number}: {error}") from None
    return candles


def joined(parts: Sequence[Records], *, from_ns: int, to_ns: int) -> Records:
    """One ascending run without repeats, from_ns <= open < to_ns; of candles of one instant the last part's stays."""
    candles = np.concatenate([np.zeros(0, CANDLE), *parts])[::-1]
    _, newest = np.unique(candles["ts_open_ns"], return_index=True)
    candles = candles[newest]
    return candles[(candles["ts_open_ns"] >= from_ns) & (candles["ts_open_ns"] < to_ns)]


def _write(candle: np.void, row: object, timeframe_seconds: int, opened_ns: OpenedNs) -> None:
    if not isinstance(row, list) or len(row) not in (6, 7):
        raise Unreadable(f"{row!r:.60} has not six or seven fields")
    cells = dict(zip(_NAMES, row, strict=False))
    open_ns = opened_ns(cells["time"])
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
