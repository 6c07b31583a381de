"""Stored one-minute candles as a strategy of any timeframe is replayed them. Pure.

    minutes before the day (the newest that are needed) ─┐
    minutes of the day                                  ─┴─► within session hours ─► its timeframe ─► Candle objects

Invariant (property-tested): the candles are those that market data published for the same minutes, because both come
from the one aggregator; none of them closes after the instant asked for.
"""

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import Records
from tradebus.indicators.aggregate import aggregate_batch
from tradebus.kernel.time import NANOSECONDS_PER_DAY, ist_midnight_ns
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.protocol import Candle

_SESSION_MINUTES_MAX = 400  # no regular session has more: bounds what a warm-up of daily candles reads


def minutes_needed(timeframe_seconds: int, warmup_candles: int) -> int:
    """How many of the newest minutes before the day hold `warmup_candles` candles."""
    # One candle more than needed: the oldest minutes read may be the end of a candle that is not whole.
    return (warmup_candles + 1) * min(timeframe_seconds // 60, _SESSION_MINUTES_MAX) if warmup_candles else 0


def candles_before(
    earlier: Records, today: Records, *, day_ns: int, ts_ns: int, timeframe_seconds: int, warmup_candles: int,
    hours: SessionHours,
) -> list[Candle]:  # fmt: skip
    """The newest `warmup_candles` candles of the minutes of `earlier` days, then those of `today`'s that close at or
    before `ts_ns`, in time order. Both are one instrument's CANDLE records of one minute, ascending."""
    warmup = warmup_of(
        earlier, day_ns=day_ns, timeframe_seconds=timeframe_seconds, warmup_candles=warmup_candles, hours=hours
    )
    return as_candles(warmup) + as_candles(of_timeframe(today, timeframe_seconds, until_ns=ts_ns, hours=hours))


def warmup_of(
    earlier: Records, *, day_ns: int, timeframe_seconds: int, warmup_candles: int, hours: SessionHours
) -> Records:
    """The newest `warmup_candles` candles of the minutes of days before the one that begins at `day_ns`."""
    warmup = of_timeframe(earlier, timeframe_seconds, until_ns=day_ns, hours=hours)
    return warmup[max(0, len(warmup) - warmup_candles) :]


def of_timeframe(minutes: Records, timeframe_seconds: int, *, until_ns: int, hours: SessionHours) -> Records:
    """The candles of a timeframe that close at or before `until_ns`, from 1-minute ones of any days."""
    opens, closes = hours_of_each(minutes, hours)
    inside = (minutes["ts_open_ns"] >= opens) & (minutes["ts_open_ns"] < closes) & (minutes["ts_close_ns"] <= until_ns)
    minutes, opens, closes = minutes[inside], opens[inside], closes[inside]
    if timeframe_seconds == 60 or not len(minutes):
        return minutes
    return aggregate_batch(
        minutes, timeframe_seconds, session_open_ns=opens, session_close_ns=closes, until_ns=until_ns
    )


def as_candles(records: Records) -> list[Candle]:
    """CANDLE records as strategies see them."""
    return [Candle(*row[:7]) for row in records.tolist()]


def hours_of_each(minutes: Records, hours: SessionHours) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The session instants of each row's day; an empty session, which holds no minute, where the day is closed."""
    opens, closes = np.zeros(len(minutes), np.int64), np.zeros(len(minutes), np.int64)
    start = 0
    while start < len(minutes):
        first_ns = int(minutes["ts_open_ns"][start])
        end_ns = ist_midnight_ns(first_ns) + NANOSECONDS_PER_DAY
        end = int(np.searchsorted(minutes["ts_open_ns"], end_ns))
        session = hours.of(first_ns)
        if session is not None:
            opens[start:end], closes[start:end] = session
        start = end
    return opens, closes
