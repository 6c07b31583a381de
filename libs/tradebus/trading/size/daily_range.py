"""How far an instrument moves in a day: the average true range of its last days, in whole paise.

    minutes ─► days before this one ─► true range: high - low, the close of the day before counted in ─► their mean

Rounded up, so that nothing is ever sized larger for it. It is fixed for a day, and what a run has stored before its day
decides it: a backtest and the services that read the same candles have the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tradebus.contracts.records import Records
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, ist_midnight_ns

ATR_DAYS = 14
LOOK_BACK_DAYS = 60  # of the calendar: what is older is no range of today


@dataclass(frozen=True, slots=True)
class DailyBar:
    """One trading day of an instrument."""

    high_paise: int
    low_paise: int
    close_paise: int


def day_bars(minutes: Records, *, before_ns: int) -> list[DailyBar]:
    """The newest days before that of `before_ns`, one more than the mean is of, oldest first. `minutes` are one
    instrument's CANDLE records of one minute, ascending."""
    midnight_ns = ist_midnight_ns(before_ns)
    opens_ns = np.ascontiguousarray(minutes["ts_open_ns"])
    begin, end = np.searchsorted(opens_ns, (midnight_ns - LOOK_BACK_DAYS * NANOSECONDS_PER_DAY, midnight_ns)).tolist()
    rows, numbers = minutes[begin:end], (opens_ns[begin:end] + IST_OFFSET_NS) // NANOSECONDS_PER_DAY
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))[-(ATR_DAYS + 1) :].tolist()
    return [
        DailyBar(int(day["high_paise"].max()), int(day["low_paise"].min()), int(day["close_paise"][-1]))
        for day in (rows[start:stop] for start, stop in pairwise([*starts, len(rows)]))
    ]


def daily_atr_paise(bars: Sequence[DailyBar]) -> int | None:
    """The mean true range of the newest 14 days, at least one paisa; None where there are fewer. Oldest first."""
    if len(bars) < ATR_DAYS:
        return None
    newest = bars[-ATR_DAYS:]
    closes = [bar.close_paise for bar in bars[-ATR_DAYS - 1 : -1]]
    before = [None] * (ATR_DAYS - len(closes)) + closes
    total_paise = sum(_true_range_paise(bar, before=close) for bar, close in zip(newest, before, strict=True))
    return max(1, -(-total_paise // ATR_DAYS))


def _true_range_paise(bar: DailyBar, *, before: int | None) -> int:
    if before is None:
        return bar.high_paise - bar.low_paise
    return max(bar.high_paise, before) - min(bar.low_paise, before)
