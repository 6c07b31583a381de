"""What a live market publishes, and how far it has got.

    ticks, quotes of a turn ─► one slice on md.ticks and md.quotes
    candles that closed ─► md.candles ─► the book        history ─► the book ─► md.candles, flagged

Invariants (tested): watermarks never go back; a quiet second of an open market is said too; what the book holds of a
minute is the last that was said of it.
"""

import asyncio
from collections.abc import Callable

import numpy as np

from services.market_data.candles.plan import SlicePlan, slice_of_candles
from services.market_data.feeds.bus_sink import QUOTES, BusSink
from services.market_data.feeds.live.metrics import LiveMetrics
from tradebus.bus.port import Bus, Outgoing
from tradebus.contracts.records import CANDLE, QUOTE, TICK, Records
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.store.book import Book

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_QUIET_NS = NANOSECONDS_PER_SECOND  # of the machine's time: then a mark is due
NO_CANDLES: Records = np.empty(0, CANDLE)
NO_TICKS: Records = np.empty(0, TICK)
NO_QUOTES: Records = np.empty(0, QUOTE)


class LivePublisher:
    """`ticks_end_ns` is the event time up to which md.ticks is filled, and md.quotes with it."""

    def __init__(
        self, bus: Bus, book: Book, *, ticks_end_ns: int, metrics: LiveMetrics, monotonic_ns: Callable[[], int]
    ) -> None:
        self._metrics, self._monotonic_ns = metrics, monotonic_ns
        self._sink = BusSink(bus, book, received=None, keep_empty=False)
        self.ticks_end_ns = ticks_end_ns
        self.bars = 0
        self._candles_end_ns = 0
        self._published_ns = 0
        self._storing: asyncio.Task[None] | None = None

    def begin_day(self, start_ns: int) -> None:
        """Candles that close after `start_ns` are published from here on."""
        self._candles_end_ns = start_ns

    async def ticks(self, ticks: Records, quotes: Records, *, now_ns: int) -> None:
        """A turn's TICK records and the QUOTE records that go out in full, as one slice."""
        start_ns = self.ticks_end_ns or now_ns
        newest_ns = max(int(rows["ts_event_ns"].max()) for rows in (ticks, quotes) if len(rows))
        end_ns = max(start_ns, newest_ns + 1)
        piece = SlicePlan(start_ns, end_ns, ticks, NO_CANDLES, NO_CANDLES)
        await self._sink.publish(piece, also=[_quotes(quotes, start_ns=start_ns, end_ns=end_ns)])
        self._metrics.ticks.inc(len(ticks))
        self._metrics.behind_seconds.set((now_ns - end_ns) / 1e9)
        self._reached(end_ns)

    async def mark(self, until_ns: int) -> None:
        """Time has passed without a tick: said once a second."""
        start_ns = self.ticks_end_ns or until_ns
        if until_ns > start_ns and self._monotonic_ns() - self._published_ns >= _QUIET_NS:
            also = [_quotes(NO_QUOTES, start_ns=start_ns, end_ns=until_ns)]
            await self._sink.mark(start_ns, until_ns, also=also)
            self._reached(until_ns)

    async def candles(self, candles: Records, minutes: Records, *, end_ns: int) -> None:
        """What closed or was corrected by `end_ns`; the minutes are stored while the next turn is worked."""
        if not len(candles):
            return
        end_ns = max(self._candles_end_ns, end_ns // _MINUTE_NS * _MINUTE_NS)
        piece = SlicePlan(self._candles_end_ns, end_ns, NO_TICKS, candles, minutes)
        await self.stored()
        await self._sink.publish(piece)
        self._storing = asyncio.create_task(self._sink.store(piece))
        self._candles_end_ns = end_ns
        self.bars += len(minutes)

    async def restored(self, minutes: Records, corrected: Records) -> None:
        """Minutes as history has them into the book, after what was seen of them; then what they correct is said."""
        await self.stored()
        await self._sink.store(slice_of_candles(minutes))
        if len(corrected):
            at_ns = self._candles_end_ns
            await self._sink.publish(SlicePlan(at_ns, at_ns, NO_TICKS, corrected, NO_CANDLES))

    async def stored(self) -> None:
        """Waits for the book to hold what was published. Raises what storing it raised."""
        storing, self._storing = self._storing, None
        if storing is not None:
            await storing

    def _reached(self, end_ns: int) -> None:
        self.ticks_end_ns, self._published_ns = end_ns, self._monotonic_ns()


def _quotes(quotes: Records, *, start_ns: int, end_ns: int) -> Outgoing:
    """The slice's entry on md.quotes, without any too: what follows it is told that time has passed."""
    return Outgoing(QUOTES, "quotes", quotes.tobytes(), watermark_ns=end_ns - 1, slice_start_ns=start_ns)
