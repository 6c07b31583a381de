"""Candles as CANDLE records, and the calls that fetch them.

A row that cannot be a candle (prices of 0, a high below the low, a text for a number) is left out and counted; the
others of its reply are as good as without it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import structlog

from tradebus.brokers.common.replies.rows import Unreadable, paise, row_of, whole
from tradebus.brokers.errors import Malformed
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_NAMES = ("time", "open", "high", "low", "close", "volume", "oi")
OpenedNs = Callable[[object], int]  # a broker's time of a candle; raises Unreadable
_log = structlog.get_logger()


class Sifted(NamedTuple):
    """What a reply came to: CANDLE records of its sound rows, how many others it had, what the first of those was."""

    candles: Records
    left_out: int = 0
    first: str = ""


def spans(*, from_ns: int, to_ns: int, span_ns: int) -> Iterator[tuple[int, int]]:
    """[from, to) in parts that one call may ask for."""
    while from_ns < to_ns:
        end_ns = min(from_ns + span_ns, to_ns)
        yield from_ns, end_ns
        from_ns = end_ns


def candles_in(data: object, *, timeframe_seconds: int, opened_ns: OpenedNs) -> Sifted:
    """In the reply's order, instrument 0, of rows `[time, open, high, low, close, volume, open interest]`, the last of
    which may be missing. Raises Unreadable where there are no rows to be had."""
    rows = row_of(data, what="history").get("candles")
    if not isinstance(rows, list):
        raise Unreadable("history: there is no list of candles")
    candles: Records = np.zeros(len(rows), CANDLE)
    kept, first = 0, ""
    for number, row in enumerate(rows):
        try:
            _write(candles[kept], row, timeframe_seconds, opened_ns)
        except Unreadable as error:
            first = first or f"candle {number}: {error}"
            continue
        kept += 1
    return Sifted(candles[:kept], len(rows) - kept, first)


def sound(parts: Sequence[Sifted], *, broker: str, what: str) -> list[Records]:
    """The parts' candles; what was left out is said. Raises Malformed where all that came was left out."""
    left_out = sum(part.left_out for part in parts)
    if left_out:
        first = next(part.first for part in parts if part.left_out)
        if not any(len(part.candles) for part in parts):
            raise Malformed(broker, f"{what}: none of its {left_out} rows is a candle; {first}")
        _log.warning(f"{broker}: rows that are no candles left out", what=what, rows=left_out, first=first)
    return [part.candles for part in parts]


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
