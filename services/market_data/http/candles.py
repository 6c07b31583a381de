"""Candles of any timeframe from the stored minutes, by the kernel that makes the live ones.

Answers about the newest candles are kept as bytes until the streams say that a newer candle is there.
"""

import asyncio
from collections.abc import Callable, Coroutine

import numpy as np

from services.market_data.http.tail import StreamTail
from services.market_data.http.wire import candles_json
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import TIMEFRAMES_SECONDS, Records
from tradebus.history.hours import day_numbers, sessions_of
from tradebus.indicators.aggregate import aggregate_batch
from tradebus.kernel.errors import InvalidInput
from tradebus.store.book import Book
from tradebus.store.books import candles_book

LIMIT_MAX = 1500
RANGE_MAX = 20_000
_MINUTES_MAX = 200_000
_DAY_MINUTES = 400  # more than any session has
_FAR_NS = 2**62
_CACHED_MAX = 2048

_Key = tuple[int, int, int]


class CandleReader:
    """Reads, aggregates, remembers."""

    def __init__(self, book: Book, tail: StreamTail) -> None:
        self._candles, self._tail = candles_book(book), tail
        self._cache: dict[_Key, tuple[tuple[int, int], bytes]] = {}
        self._running: dict[_Key, asyncio.Task[bytes]] = {}

    async def last(self, instrument: Instrument, *, timeframe_seconds: int, limit: int) -> bytes:
        """The newest `limit` closed candles as an answer. Raises InvalidInput for a timeframe there is not."""
        self._tail.require_following()
        key = (instrument.instrument_id, timeframe_seconds, limit)
        version = self._tail.version(instrument.instrument_id)
        cached = self._cache.get(key)
        if cached is not None and cached[0] == version:
            return cached[1]
        return await self._once(key, lambda: self._read_last(instrument, timeframe_seconds, limit))

    async def between(self, instrument: Instrument, *, timeframe_seconds: int, from_ns: int, to_ns: int) -> bytes:
        """The closed candles that start in [from_ns, to_ns), as an answer. Raises InvalidInput for too many."""
        require_timeframe(timeframe_seconds)
        # A candle's first minutes may lie before the range: they are read to tell it, then left out.
        early_ns = from_ns - (0 if timeframe_seconds == 60 else timeframe_seconds * 1_000_000_000)
        late_ns = to_ns + (0 if timeframe_seconds == 60 else timeframe_seconds * 1_000_000_000)
        minutes = await self._minutes(instrument, from_ns=early_ns, to_ns=late_ns, limit=_MINUTES_MAX)
        candles = self._aggregated(instrument, timeframe_seconds, minutes)
        inside = candles[(candles["ts_open_ns"] >= from_ns) & (candles["ts_open_ns"] < to_ns)]
        if len(inside) > RANGE_MAX or len(minutes) >= _MINUTES_MAX:
            raise InvalidInput(f"from, to: more than {RANGE_MAX} candles lie between them: ask for a shorter time")
        return candles_json(instrument, timeframe_seconds, inside)

    async def newest_minute(self, instrument: Instrument) -> Records:
        """The newest one-minute candle, shape [1], or [0] where there is none."""
        return await self._minutes(instrument, from_ns=0, to_ns=_FAR_NS, limit=1)

    async def _read_last(self, instrument: Instrument, timeframe_seconds: int, limit: int) -> bytes:
        require_timeframe(timeframe_seconds)
        version = self._tail.version(instrument.instrument_id)
        per_bar = _DAY_MINUTES if timeframe_seconds == TIMEFRAMES_SECONDS[-1] else timeframe_seconds // 60
        # One more than asked: the first may have begun before the first minute read.
        count = limit if timeframe_seconds == 60 else (limit + 1) * per_bar
        if count > _MINUTES_MAX:
            raise InvalidInput(f"limit: {limit} candles of {timeframe_seconds} s are too many: ask for fewer")
        minutes = await self._minutes(instrument, from_ns=0, to_ns=_FAR_NS, limit=count)
        candles = self._aggregated(instrument, timeframe_seconds, minutes)[-limit:]
        body = candles_json(instrument, timeframe_seconds, candles)
        if len(self._cache) >= _CACHED_MAX:
            self._cache.clear()
        self._cache[(instrument.instrument_id, timeframe_seconds, limit)] = (version, body)
        return body

    async def _minutes(self, instrument: Instrument, *, from_ns: int, to_ns: int, limit: int) -> Records:
        """Stored minutes, with the newest from the stream where the store does not have them yet."""
        heard = self._tail.bars(instrument.instrument_id)
        heard = heard[(heard["ts_open_ns"] >= from_ns) & (heard["ts_open_ns"] < to_ns)]
        stored = await self._candles.read(
            instrument=instrument.instrument_id, from_ns=from_ns, to_ns=to_ns, limit=limit
        )
        if not len(heard):
            return stored
        kept = stored[~np.isin(stored["ts_open_ns"], heard["ts_open_ns"])]
        both = np.concatenate((kept, heard))
        return both[np.argsort(both["ts_open_ns"], kind="stable")][-limit:]

    def _aggregated(self, instrument: Instrument, timeframe_seconds: int, minutes: Records) -> Records:
        if timeframe_seconds == 60 or not len(minutes):
            return minutes
        days = day_numbers(minutes["ts_open_ns"])
        sessions = sessions_of(np.unique(days).tolist(), instrument)
        minutes = minutes[np.isin(days, list(sessions.by_day))]
        if not len(minutes):
            return minutes
        opens, closes = sessions.bounds(minutes["ts_open_ns"])
        until_ns = max(self._tail.event_ns, int(minutes["ts_close_ns"].max()))
        return aggregate_batch(
            minutes, timeframe_seconds, session_open_ns=opens, session_close_ns=closes, until_ns=until_ns
        )

    async def _once(self, key: _Key, read: Callable[[], Coroutine[None, None, bytes]]) -> bytes:
        """Callers who ask the same at the same time share one reading."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(read())
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        # Shielded: one caller who hangs up must not take the answer from the others.
        return await asyncio.shield(task)

    def _ended(self, key: _Key, task: asyncio.Task[bytes]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at here, so that one nobody waits for any more is not reported as lost


def require_timeframe(timeframe_seconds: int) -> None:
    """Raises InvalidInput for a timeframe that no stream carries."""
    if timeframe_seconds not in TIMEFRAMES_SECONDS:
        valid = ", ".join(str(seconds) for seconds in TIMEFRAMES_SECONDS)
        raise InvalidInput(f"timeframe_seconds: {timeframe_seconds} is not one of {valid}")
