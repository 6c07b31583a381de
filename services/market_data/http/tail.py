"""The newest of everything on the market-data streams, held in memory by following them.

md.ticks ─► last price per instrument        md.candles ─► newest minute bars, and a version per instrument for caches
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import structlog

from tradebus.bus.port import Bus, Entry
from tradebus.contracts.records import CANDLE, TICK, Records, decode
from tradebus.contracts.streams import MD_CANDLES, MD_TICKS, key_of
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.waiting.timers import sleep

TICKS, CANDLES = key_of(MD_TICKS), key_of(MD_CANDLES)
_FIRST_ENTRIES = 64
_BLOCK_MS = 500
_RETRY_SECONDS = 0.5
_DEAF_NS = 3 * NANOSECONDS_PER_SECOND  # a read returns every half second, with or without an entry
_KEPT_BARS = 4  # the store is at most one bar behind the stream
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LastTick:
    ts_ns: int
    price_paise: int
    bid_paise: int
    ask_paise: int
    volume: int
    open_interest: int


class StreamTail:
    """A component: follows both streams without a group, so it holds nobody up."""

    def __init__(self, bus: Bus, *, timers: Timers) -> None:
        self._bus, self._timers = bus, timers
        self._after: dict[str, str] = {}
        self._ticks: dict[int, Records] = {}
        self._bars: dict[int, dict[int, Records]] = defaultdict(dict)
        self._versions: dict[int, int] = defaultdict(int)
        self._heard_ns: int | None = None
        self.event_ns = 0  # the end of what md.candles has completed

    async def run(self, stop: asyncio.Event) -> None:
        """Follows until `stop`. Redis being away is waited out: the API answers 503 meanwhile."""
        while not stop.is_set():
            try:
                await self.read(block_ms=_BLOCK_MS)
            except Unavailable as error:
                _log.warning("not following the market-data streams", reason=str(error))
                await sleep(self._timers, _RETRY_SECONDS, unless=stop)

    async def read(self, *, block_ms: int) -> None:
        """One read. The first takes the streams' ends, where the newest of each instrument most likely is."""
        if not self._after:
            after = {}
            for stream in (TICKS, CANDLES):
                entries = await self._bus.tail(stream, count=_FIRST_ENTRIES)
                self._take(entries)
                after[stream] = entries[-1].entry_id if entries else "0"
            self._after = after
        else:
            entries = await self._bus.follow([TICKS, CANDLES], after=self._after, block_ms=block_ms)
            self._take(entries)
            self._after.update({entry.stream: entry.entry_id for entry in entries})
        self._heard_ns = self._timers.monotonic_ns()

    def require_following(self) -> None:
        """Raises Unavailable where what is held may be out of date."""
        if self._heard_ns is None or self._timers.monotonic_ns() - self._heard_ns > _DEAF_NS:
            raise Unavailable("Redis does not answer, so the newest prices are not known: start it, or set REDIS_URL")

    def version(self, instrument: int) -> tuple[int, int]:
        """Changes whenever an answer about the instrument's candles may."""
        return self._versions[instrument], self.event_ns

    def bars(self, instrument: int) -> Records:
        """The newest one-minute CANDLE records heard of, ascending: the store may not have the very last yet."""
        held = self._bars.get(instrument)
        return np.concatenate([held[ts_ns] for ts_ns in sorted(held)]) if held else np.empty(0, CANDLE)

    def tick(self, instrument: int) -> LastTick | None:
        """The newest tick heard of."""
        record = self._ticks.get(instrument)
        if record is None:
            return None
        row = record[0]
        return LastTick(
            int(row["ts_event_ns"]), int(row["price_paise"]), int(row["bid_paise"]), int(row["ask_paise"]),
            int(row["volume_cumulative"]), int(row["open_interest"]),
        )  # fmt: skip

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            try:
                self._take_one(entry)
            except ValueError as error:  # whoever has a group there quarantines it
                _log.error("an entry that cannot be read is left out", stream=entry.stream, entry_id=entry.entry_id,
                           problem=str(error))  # fmt: skip

    def _take_one(self, entry: Entry) -> None:
        if entry.kind == "ticks":
            self._take_ticks(decode(entry.body, TICK))
        elif entry.kind == "candles":
            self._take_candles(decode(entry.body, CANDLE))
            self.event_ns = max(self.event_ns, entry.watermark_ns or 0)

    def _take_ticks(self, ticks: Records) -> None:
        reverse = ticks["instrument"][::-1]
        for instrument, index in zip(*np.unique(reverse, return_index=True), strict=True):
            at = len(ticks) - 1 - int(index)
            # A copy: a view would keep the whole entry alive.
            self._ticks[int(instrument)] = ticks[at : at + 1].copy()

    def _take_candles(self, candles: Records) -> None:
        for at in np.flatnonzero(candles["timeframe_seconds"] == 60).tolist():
            instrument, ts_ns = int(candles["instrument"][at]), int(candles["ts_open_ns"][at])
            held = self._bars[instrument]
            held[ts_ns] = candles[at : at + 1].copy()
            self._versions[instrument] += 1
            while len(held) > _KEPT_BARS:
                del held[min(held)]
