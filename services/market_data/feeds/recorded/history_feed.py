"""A recorded market: bars expanded into a tick path, or ticks as they were."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from services.market_data.candles.day import cumulated_volume, expand_symbol
from services.market_data.feeds.ports import FeedDay
from tradebus.contracts.records import CANDLE, TICK, Records
from tradebus.history.columns import Columns, minutes_held, to_candles, to_ticks
from tradebus.history.hours import date_of_day, day_numbers, sessions_of
from tradebus.history.loading import LoadedHistory
from tradebus.indicators.candles import build_candles
from tradebus.symbols.descriptions import Description, describe, tick_on


class HistoryFeed:
    """See `services.market_data.feeds.ports.MarketFeed`. A day without a row is no day of this feed."""

    def __init__(self, history: LoadedHistory, *, ticks_per_minute: int, seed: int) -> None:
        self._history = history
        self._columns = history.columns
        days = day_numbers(history.columns.ts_ns)
        # Rows by day, each day's in file order.
        self._order = np.argsort(days, kind="stable")
        self._numbers, self._starts = np.unique(days[self._order], return_index=True)
        self._ticks_per_minute = ticks_per_minute
        self._seed = seed

    @cached_property
    def identity(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        plain = (self._columns.names, self._columns.is_ticks, self._ticks_per_minute, self._seed)
        digest.update(repr(plain).encode())
        for array in (self._columns.ts_ns, self._columns.symbol, *self._columns.values.values()):
            digest.update(np.ascontiguousarray(array).tobytes())
        return f"history-{digest.hexdigest()}"

    @property
    def spec(self) -> Mapping[str, Any]:
        return {
            "feed": "history",
            "file": self._history.name,
            "symbols": list(self._columns.names),
            "from": self.days[0].day.isoformat(),
            "to": self.days[-1].day.isoformat(),
            "seed": self._seed,
            "ticks_per_minute": self._ticks_per_minute,
            "dropped_outside_session": self._history.dropped_outside_session,
        }

    @cached_property
    def instruments(self) -> Sequence[Description]:
        return [describe(name) for name in self._columns.names]

    @cached_property
    def days(self) -> Sequence[FeedDay]:
        numbers = self._numbers.tolist()
        sessions = [sessions_of(numbers, item).by_day for item in self.instruments]
        return [
            FeedDay(
                date_of_day(number),
                min(by_day[number].open_ns for by_day in sessions if number in by_day),
                max(by_day[number].close_ns for by_day in sessions if number in by_day),
                minutes_held(self._rows_of(number)),
            )
            for number in numbers
        ]

    def warmup(self, instrument_of: Mapping[str, int]) -> Records:
        before = self._history.warmup
        made = _bars_of if before.is_ticks else to_candles
        candles = made(before, instrument_of=instrument_of)
        return candles[np.argsort(candles["ts_open_ns"], kind="stable")]

    def ticks(self, day: FeedDay, instrument_of: Mapping[str, int]) -> Records:
        rows = self._rows_of(int(day_numbers(np.asarray([day.open_ns]))[0]))
        if rows.is_ticks:
            ticks = _ticks_of(rows, instrument_of=instrument_of)
        else:
            parts = [self._expanded(rows, code, instrument_of[name], day.day) for code, name in enumerate(rows.names)]
            ticks = np.concatenate(parts)
        return ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]

    def _expanded(self, rows: Columns, code: int, instrument: int, day: date) -> Records:
        candles = to_candles(rows.where(rows.symbol == code), instrument_of=dict.fromkeys(rows.names, 0))
        if not len(candles):
            return np.empty(0, TICK)
        return expand_symbol(
            candles,
            tick_size_paise=tick_on(self.instruments[code], day, price_paise=int(candles["open_paise"][0])),
            symbol=rows.names[code],
            instrument=instrument,
            ticks_per_minute=self._ticks_per_minute,
            seed=self._seed,
        )

    def _rows_of(self, number: int) -> Columns:
        at = int(self._numbers.searchsorted(number))
        end = int(self._starts[at + 1]) if at + 1 < len(self._starts) else len(self._order)
        return self._columns.pick(self._order[self._starts[at] : end])


def _ticks_of(rows: Columns, *, instrument_of: Mapping[str, int]) -> Records:
    """TICK records of one day's rows, in file order."""
    return cumulated_volume(to_ticks(rows, instrument_of=instrument_of))


def _bars_of(rows: Columns, *, instrument_of: Mapping[str, int]) -> Records:
    """The one-minute CANDLE records that ticks of several days make, each day's from its own beginning."""
    days = day_numbers(rows.ts_ns)
    parts = [np.empty(0, CANDLE)]
    for day in np.unique(days):
        ticks = _ticks_of(rows.where(days == day), instrument_of=instrument_of)
        ascending = ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]
        parts.append(build_candles(ascending, max(instrument_of.values()) + 1))
    return np.concatenate(parts)
