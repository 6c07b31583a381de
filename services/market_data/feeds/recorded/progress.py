"""How far the feed has got: for logs, for metrics, for whoever listens on `md.progress`, and in the feed's row."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.market_data.candles.plan import DayPlan, SlicePlan
from services.market_data.feeds.ports import FeedDay
from tradebus.bus.port import Bus
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, utc_iso
from tradebus.store.books import FeedsBook

PROGRESS_CHANNEL = "md.progress"
_EVERY_NS = NANOSECONDS_PER_SECOND
_log = structlog.get_logger()


class ProgressMetrics:
    """One per registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.bars = Gauge(
            "tradebus_market_data_bars_published", "One-minute bars published of this feed", registry=registry
        )
        self.bars_total = Gauge(
            "tradebus_market_data_bars_total", "One-minute bars of the whole feed", registry=registry
        )  # fmt: skip
        self.event_seconds = Gauge(
            "tradebus_market_data_event_time_seconds", "Event time the feed has reached", registry=registry
        )


class Progress:
    """Counts slices. Announces at each day's end, and once a second of wall time in between."""

    def __init__(
        self, days: Sequence[FeedDay], *, bus: Bus, feeds: FeedsBook, metrics: ProgressMetrics,
        monotonic_ns: Callable[[], int],
    ) -> None:  # fmt: skip
        self._metrics, self._monotonic_ns = metrics, monotonic_ns
        self._bus, self._feeds = bus, feeds
        self._bars_total = sum(day.bars for day in days)
        self._days_total = len(days)
        self._bars = self._days_done = self._event_ns = 0
        self._state = "waiting"
        self._day = ""
        self._announced_ns = self._monotonic_ns()
        metrics.bars_total.set(self._bars_total)

    def status(self) -> dict[str, Any]:
        """state (waiting, running, finished), bars, bars_total, fraction, days, days_total, day, event time."""
        return {
            "state": self._state,
            "bars": self._bars,
            "bars_total": self._bars_total,
            "fraction": round(self._bars / self._bars_total, 6) if self._bars_total else 1.0,
            "days": self._days_done,
            "days_total": self._days_total,
            "day": self._day,
            "event_ns": self._event_ns,
            "event_time_utc": utc_iso(self._event_ns) if self._event_ns else None,
        }

    def skip(self, day: FeedDay) -> None:
        """A day that was published before a restart."""
        self._bars += day.bars
        self._days_done += 1
        self._event_ns = day.close_ns

    def begin_day(self, day: FeedDay, plan: DayPlan, *, start_ns: int) -> None:
        self._bars += int((plan.minutes["ts_close_ns"] <= start_ns).sum())
        self._state, self._day = "running", day.day.isoformat()

    async def published(self, piece: SlicePlan) -> None:
        self._bars += len(piece.minutes)
        self._event_ns = piece.end_ns
        now_ns = self._monotonic_ns()
        if now_ns - self._announced_ns >= _EVERY_NS:
            self._announced_ns = now_ns
            await self._announce()

    async def day_done(self, day: FeedDay) -> None:
        self._days_done += 1
        _log.info("day published", **self.status())
        await self._announce()

    async def finished(self) -> None:
        self._state = "finished"
        _log.info("end of feed", **self.status())
        await self._announce()

    async def _announce(self) -> None:
        status = self.status()
        self._metrics.bars.set(self._bars)
        self._metrics.event_seconds.set(self._event_ns / NANOSECONDS_PER_SECOND)
        await self._feeds.progress(status)
        await self._bus.broadcast(PROGRESS_CHANNEL, json.dumps(status).encode())
