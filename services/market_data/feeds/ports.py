"""What the feed service needs from outside, and what a feed is.

A recorded or generated market knows each of its days beforehand: it hands a whole day over, and the runner cuts it into
slices (paced) or lets it out by the clock. A live broker feed has no day to hand over: it is a protocol of its own
(`tradebus.brokers.feed.MarketFeed`) whose batches are worked by the same candle kernels as they arrive (`feeds.live`)
and published through the same `SliceSink`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from services.market_data.candles.plan import DayPlan, SlicePlan
from tradebus.contracts.records import Records
from tradebus.symbols.descriptions import Description


@dataclass(frozen=True, slots=True)
class FeedDay:
    """One trading day of a feed. `open_ns` and `close_ns` (exclusive) span all its instruments' sessions."""

    day: date
    open_ns: int
    close_ns: int
    bars: int  # one-minute bars of all instruments


class RecordedFeed(Protocol):
    """A market whose days are known beforehand. Same content for the same file, window and seed, whenever asked."""

    @property
    def identity(self) -> str:
        """A digest of all that decides the content: another content, another identity."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """What it is, in JSON, for people."""

    @property
    def instruments(self) -> Sequence[Description]: ...

    @property
    def days(self) -> Sequence[FeedDay]:
        """Ascending; never empty."""

    def warmup(self, instrument_of: Mapping[str, int]) -> Records:
        """One-minute CANDLE records before the first day, for strategies to warm up on."""

    def ticks(self, day: FeedDay, instrument_of: Mapping[str, int]) -> Records:
        """The day's TICK records, ascending by event time, inside [open_ns, close_ns)."""


class SliceSink(Protocol):
    """Where slices go."""

    async def publish(self, piece: SlicePlan) -> None:
        """Ticks and candles on the bus, both or neither."""

    async def store(self, piece: SlicePlan) -> None:
        """The one-minute candles in the book of record; repeating it is harmless."""


class Pace(Protocol):
    """Decides where a slice ends and when it may go out."""

    def begin_day(self, day: FeedDay, plan: DayPlan, *, start_ns: int) -> None:
        """The next slices are of this day, from `start_ns` on."""

    def propose(self, start_ns: int) -> int:
        """The end of the slice that starts at `start_ns`."""

    async def due(self, start_ns: int, end_ns: int, *, stop: asyncio.Event) -> int | None:
        """Waits until the slice may go out. Returns its end, later than proposed where time has moved on meanwhile;
        None where `stop` was set instead."""

    async def settled(self, end_ns: int, *, stop: asyncio.Event) -> bool:
        """Waits until everybody is done with all up to `end_ns`; False where `stop` was set instead."""
