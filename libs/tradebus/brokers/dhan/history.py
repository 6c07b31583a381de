"""Candles of Dhan's charts as CANDLE records: columns in, true UTC seconds, rupees."""

import numpy as np
import numpy.typing as npt

from tradebus.brokers.dhan.fields import mapping_of
from tradebus.brokers.dhan.words import BROKER, INDEX_UNDERLYINGS
from tradebus.brokers.errors import Malformed
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_datetime

MINUTES = {60: 1, 300: 5, 900: 15, 1500: 25, 3600: 60}  # by timeframe in seconds; the others are made from these
DAY_SECONDS = 86_400
INTRADAY_SPAN_NS = 90 * NANOSECONDS_PER_DAY
DAILY_SPAN_NS = 3650 * NANOSECONDS_PER_DAY
_WHAT = "history"
_PRICES = ("open", "high", "low", "close")
_PRICE_MAX_RUPEES, _COUNT_MAX = 1e9, 2.0**53


def instrument_word(key: InstrumentKey) -> str:
    """What Dhan calls this kind of instrument."""
    if key.segment is Segment.INDEX:
        return "INDEX"
    if not key.is_derivative:
        return "EQUITY"
    return ("OPT" if key.is_option else "FUT") + ("IDX" if key.name in INDEX_UNDERLYINGS else "STK")


def intraday_text(ts_ns: int) -> str:
    """Indian wall-clock time, rounded up to a second."""
    return f"{ist_datetime(-(-ts_ns // NANOSECONDS_PER_SECOND) * NANOSECONDS_PER_SECOND):%Y-%m-%d %H:%M:%S}"


def day_texts(from_ns: int, to_ns: int) -> tuple[str, str]:
    """The first day, and the day after the last: Dhan leaves `toDate` out."""
    last = ist_datetime(to_ns - 1 + NANOSECONDS_PER_DAY)
    return f"{ist_datetime(from_ns):%Y-%m-%d}", f"{last:%Y-%m-%d}"


def candles_of(body: object, *, timeframe_seconds: int) -> Records:
    """Columns of one reply, ascending, each instant once. Raises Malformed for columns that do not fit together."""
    row = mapping_of(_WHAT, body)
    if isinstance(row.get("data"), dict):
        row = mapping_of(_WHAT, row["data"])
    seconds = _column(row, "timestamp", low=0, high=2.0**33)
    candles = np.zeros(len(seconds), CANDLE)
    candles["ts_open_ns"] = seconds.astype(np.int64) * NANOSECONDS_PER_SECOND
    candles["ts_close_ns"] = candles["ts_open_ns"] + timeframe_seconds * NANOSECONDS_PER_SECOND
    for name in _PRICES:
        column = _column(row, name, low=0, high=_PRICE_MAX_RUPEES, length=len(seconds))
        candles[f"{name}_paise"] = np.rint(column * 100).astype(np.int64)
    for name in ("volume", "open_interest"):
        if name in row and row[name] not in (None, []):
            candles[name] = _column(row, name, low=0, high=_COUNT_MAX, length=len(seconds)).astype(np.int64)
    candles["timeframe_seconds"] = timeframe_seconds
    _, first = np.unique(candles["ts_open_ns"], return_index=True)
    return candles[first]


def _column(
    row: "dict[str, object] | object", name: str, *, low: float, high: float, length: int | None = None
) -> npt.NDArray[np.float64]:
    values = row.get(name) if isinstance(row, dict) else None
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise Malformed(BROKER, f"{_WHAT}: {name} is no column of {'times' if length is None else length} numbers")
    if not all(
        isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high for value in values
    ):
        raise Malformed(BROKER, f"{_WHAT}: {name} holds something else than numbers from {low:g} to {high:g}")
    return np.array(values, np.float64)
