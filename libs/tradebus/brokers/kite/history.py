"""Kite's candles as CANDLE records, in calls that Kite allows.

A candle of Kite is `[time with zone, open, high, low, close, volume, open interest]`; a day's candle is stamped with
the Indian midnight it began at.
"""

from collections.abc import Iterator

from tradebus.brokers.common.replies import candles
from tradebus.brokers.kite.reference_words import INTERVALS
from tradebus.brokers.kite.replies import moment_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_DAY, NANOSECONDS_PER_SECOND, ist_datetime


def interval_of(timeframe_seconds: int) -> tuple[str, int]:
    """Kite's word and the nanoseconds one call may span. Raises InvalidInput naming those there are."""
    found = INTERVALS.get(timeframe_seconds)
    if found is None:
        known = ", ".join(str(seconds) for seconds in INTERVALS)
        raise InvalidInput(f"timeframe_seconds: Kite has no candles of {timeframe_seconds} s; it has {known}")
    return found[0], found[1] * NANOSECONDS_PER_DAY


def spans(*, from_ns: int, to_ns: int, span_ns: int) -> Iterator[tuple[str, str]]:
    """Indian wall-clock texts of the calls that cover [from_ns, to_ns); Kite takes both ends as inclusive seconds."""
    for start_ns, end_ns in candles.spans(from_ns=from_ns, to_ns=to_ns, span_ns=span_ns):
        last_ns = max(start_ns, (end_ns - 1) // NANOSECONDS_PER_SECOND * NANOSECONDS_PER_SECOND)
        yield _written(start_ns), _written(last_ns)


def candles_of(data: object, *, timeframe_seconds: int) -> candles.Sifted:
    """In the reply's order, instrument 0. Raises Unreadable where it is no history."""
    return candles.candles_in(
        data, timeframe_seconds=timeframe_seconds, opened_ns=lambda value: moment_of(value, name="time")
    )


def _written(at_ns: int) -> str:
    return ist_datetime(at_ns).strftime("%Y-%m-%d %H:%M:%S")
