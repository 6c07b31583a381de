"""Candles of Dhan's charts as CANDLE records: columns in, true UTC seconds, rupees."""

import numpy as np
import numpy.typing as npt

from tradebus.brokers.common.replies.candles import Sifted
from tradebus.brokers.dhan.fields import Row, mapping_of
from tradebus.brokers.dhan.words import BROKER, INDEX_UNDERLYINGS
from tradebus.brokers.errors import Malformed
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.records import CANDLE
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_datetime

MINUTES = {60: 1, 300: 5, 900: 15, 1500: 25, 3600: 60}  # by timeframe in seconds; the others are made from these
DAY_SECONDS = 86_400
INTRADAY_SPAN_NS = 90 * NANOSECONDS_PER_DAY
DAILY_SPAN_NS = 3650 * NANOSECONDS_PER_DAY
_WHAT = "history"
_PRICES = ("open", "high", "low", "close")
_PRICE_MAX_RUPEES, _COUNT_MAX, _SECONDS_MAX = 1e9, 2.0**53, 2.0**33


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


def candles_of(body: object, *, timeframe_seconds: int) -> Sifted:
    """Of one reply: ascending, each instant once. Raises Malformed for columns that are none or differ in length, so
    that nobody can tell what stands beside what."""
    row = mapping_of(_WHAT, body)
    if isinstance(row.get("data"), dict):
        row = mapping_of(_WHAT, row["data"])
    seconds = _column(row, "timestamp", high=_SECONDS_MAX)
    count = len(seconds)
    paise = [np.rint(_column(row, name, high=_PRICE_MAX_RUPEES, length=count) * 100) for name in _PRICES]
    opened, high, low, closed = paise
    there = [name for name in ("volume", "open_interest") if row.get(name) not in (None, [])]
    counts = {name: _column(row, name, high=_COUNT_MAX, length=count) for name in there}
    # A price of 0 is no price, and a number that could not be read is NaN, of which no comparison is true.
    is_candle = (seconds > 0) & (low > 0) & (low <= np.minimum(opened, closed)) & (high >= np.maximum(opened, closed))
    for column in counts.values():
        is_candle &= column >= 0
    candles = np.zeros(int(is_candle.sum()), CANDLE)
    candles["ts_open_ns"] = seconds[is_candle].astype(np.int64) * NANOSECONDS_PER_SECOND
    candles["ts_close_ns"] = candles["ts_open_ns"] + timeframe_seconds * NANOSECONDS_PER_SECOND
    for name, column in zip(_PRICES, paise, strict=True):
        candles[f"{name}_paise"] = column[is_candle].astype(np.int64)
    for name, column in counts.items():
        candles[name] = column[is_candle].astype(np.int64)
    candles["timeframe_seconds"] = timeframe_seconds
    _, first = np.unique(candles["ts_open_ns"], return_index=True)
    return Sifted(candles[first], int((~is_candle).sum()), _first_odd(row, is_candle))


def _column(row: Row, name: str, *, high: float, length: int | None = None) -> npt.NDArray[np.float64]:
    """Numbers from 0 to `high`; NaN for anything else."""
    values = row.get(name)
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise Malformed(BROKER, f"{_WHAT}: {name} is no column of {'times' if length is None else length} numbers")
    return np.array([value if _is_number(value, high) else np.nan for value in values], np.float64)


def _is_number(value: object, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= high


def _first_odd(row: Row, is_candle: npt.NDArray[np.bool_]) -> str:
    """The first row that is no candle, as it came; "" where all are."""
    if is_candle.all():
        return ""
    number = int(np.argmin(is_candle))
    columns = {name: row.get(name) for name in ("timestamp", *_PRICES, "volume")}
    cells = {name: column[number] for name, column in columns.items() if isinstance(column, list) and column}
    return f"candle {number}: {cells!r:.160} is no candle"
