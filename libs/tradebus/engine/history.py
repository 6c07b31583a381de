"""The one-minute candles of a run, for strategies that are made anew each day: what the service reads from Postgres.

Memory is bounded by what the market holds: candles are views of it, nothing is kept beside them.
"""

from collections.abc import Mapping

import numpy as np

from tradebus.contracts.records import CANDLE, Records
from tradebus.kernel.time import ist_midnight_ns
from tradebus.strategies.lane.hours import SessionHours
from tradebus.strategies.lane.replay import candles_before, minutes_needed, warmup_of
from tradebus.strategies.protocol import Candle
from tradebus.trading.size.daily_range import daily_atr_paise, day_bars

_NONE: Records = np.zeros(0, CANDLE)


class MinuteHistory:
    """`minutes` are each instrument's CANDLE records of one minute, ascending: the warm-up and all days of the run."""

    def __init__(self, minutes: Mapping[int, Records]) -> None:
        self._minutes = minutes
        self._ranges: dict[tuple[int, int], int | None] = {}  # by instrument and midnight
        # A strided record field is slow to search.
        self._opens = {name: np.ascontiguousarray(rows["ts_open_ns"]) for name, rows in minutes.items()}

    def last_close_paise(self, instrument: int, *, before_ns: int) -> int | None:
        """Of the newest minute that begins before an instant; None where there is none."""
        if instrument not in self._minutes:
            return None
        at = int(np.searchsorted(self._opens[instrument], before_ns))
        return int(self._minutes[instrument]["close_paise"][at - 1]) if at else None

    def atr_paise(self, instrument: int, *, ts_ns: int) -> int | None:
        """The instrument's daily range by the days before that of `ts_ns` (`tradebus.risk.terms.DailyRanges`)."""
        key = instrument, ist_midnight_ns(ts_ns)
        if key not in self._ranges:
            self._ranges[key] = daily_atr_paise(day_bars(self._minutes.get(instrument, _NONE), before_ns=ts_ns))
        return self._ranges[key]

    def before(
        self, ts_ns: int, *, instrument: int, timeframe_seconds: int, warmup_candles: int, hours: SessionHours
    ) -> list[Candle]:
        """The newest `warmup_candles` of earlier days, then those of the day of `ts_ns` closed by then, in order."""
        earlier, today = self._cut(ts_ns, instrument, minutes_needed(timeframe_seconds, warmup_candles))
        return candles_before(
            earlier, today, day_ns=ist_midnight_ns(ts_ns), ts_ns=ts_ns,
            timeframe_seconds=timeframe_seconds, warmup_candles=warmup_candles, hours=hours,
        )  # fmt: skip

    def warmup(
        self, ts_ns: int, *, instrument: int, timeframe_seconds: int, warmup_candles: int, hours: SessionHours
    ) -> Records:
        """The newest `warmup_candles` CANDLE records of the days before that of `ts_ns`, in order."""
        earlier, _ = self._cut(ts_ns, instrument, minutes_needed(timeframe_seconds, warmup_candles))
        return warmup_of(
            earlier, day_ns=ist_midnight_ns(ts_ns), timeframe_seconds=timeframe_seconds,
            warmup_candles=warmup_candles, hours=hours,
        )  # fmt: skip

    def _cut(self, ts_ns: int, instrument: int, minutes: int) -> tuple[Records, Records]:
        """The newest minutes before the day of `ts_ns`, and those of the day that begin before it."""
        rows = self._minutes.get(instrument, _NONE)
        if not len(rows):
            return _NONE, _NONE
        day_at, now_at = np.searchsorted(self._opens[instrument], (ist_midnight_ns(ts_ns), ts_ns)).tolist()
        return rows[max(0, day_at - minutes) : day_at], rows[day_at:now_at]
