"""A broker's live market: from its socket to the streams and the book, day after day.

    FeedReader ─► QUOTE batches ─► TICK records ─► LiveCandles ─► md.ticks, md.candles, candles_1m
    the market's clock ──────────────────────────────┘ closes bars; data too old? the connection is dropped

Free-running: what arrived while the last turn was published is the next turn's one batch. Nothing is done per tick.
"""

import asyncio
from collections.abc import Mapping
from datetime import time

import asyncpg
import numpy as np
import structlog
from prometheus_client import Counter, Gauge

from services.market_data.candles.live import LiveCandles
from services.market_data.candles.plan import Slice, slice_of_candles
from services.market_data.feeds.bus_sink import BusSink
from services.market_data.feeds.feed_store import FeedRow, FeedStore, take_shard
from services.market_data.feeds.live.book import register_listed
from services.market_data.feeds.live.liveness import Gap, Liveness
from services.market_data.feeds.live.reader import FeedReader
from services.market_data.feeds.live.resolve import Listings, Resolved
from services.market_data.feeds.live.source import LiveSource
from services.market_data.feeds.live.ticks import ticks_at
from services.market_data.feeds.recorded.feeder import streams_end_ns
from services.market_data.settings import MarketDataSettings
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.reference import ListedInstrument
from tradebus.bus.port import Bus
from tradebus.calendar import previous_trading_day
from tradebus.contracts.records import CANDLE, TICK, Records
from tradebus.kernel.clock import Clock, monotonic_ns
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_datetime, ist_midnight_ns, ist_to_ns, utc_iso
from tradebus.store.candles import read_candles
from tradebus.store.store import Store

_MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_TURN_SECONDS = 1.0  # no turn waits longer: the time goes on without ticks too
_STATUS_NS = 2 * NANOSECONDS_PER_SECOND
_SESSION_MINUTES = 360
_AHEAD_SECONDS = 2  # of the machine: an exchange time further ahead than this is not believed
_RETRY_SECONDS = 5.0
_log = structlog.get_logger()

_TICKS_TAKEN = Counter("tradebus_market_data_live_ticks_total", "Ticks of a broker's feed published")
_DROPPED = Counter("tradebus_market_data_silent_feeds_total", "Connections given up because data had stopped")
_AGE = Gauge("tradebus_market_data_live_seconds_behind", "Event seconds from the last tick to the market's clock")


class LiveFeeder:
    """The component that owns md.ticks and md.candles of one shard while a broker's market is followed."""

    def __init__(
        self, settings: MarketDataSettings, names: tuple[str, ...], *, source: LiveSource, bus: Bus, store: Store,
        clock: Clock, speed: float,
    ) -> None:  # fmt: skip
        self._names, self._source, self._bus, self._store = names, source, bus, store
        self._clock, self._speed = clock, speed
        self._sink = BusSink(bus, store, received=None, keep_empty=False)
        self._feed_store = FeedStore(store, namespace=settings.namespace)
        self._grace_ns = int(settings.close_grace_ms * 1e6 * speed)
        self._ahead_ns = int(_AHEAD_SECONDS * NANOSECONDS_PER_SECOND * speed)
        self._silent_ns = int(settings.feed_silent_seconds * 1e9)
        self._warmup_minutes = settings.warmup_minutes
        self._resolved: Mapping[int, Resolved] = {}
        self._day = ist_date(clock.now_ns())
        self._warm_ns = 0  # history is in the book up to here
        self._ticks_end_ns = self._candles_end_ns = 0
        self._storing: asyncio.Task[None] | None = None
        self._gap = Gap()
        self._repairing: asyncio.Task[None] | None = None
        self._bars = self._status_due_ns = self._published_ns = 0

    async def prepare(self) -> None:
        """Registers the day's instruments and stores what came before. Raises BrokerError, and InvalidInput where a
        name is unknown or the streams hold another market."""
        now_ns = self._clock.now_ns()
        await self._require_own_streams(now_ns)
        self._day = ist_date(now_ns)
        master = await self._source.master()
        resolved = Listings(master).resolve(self._names, now_ns=now_ns)
        self._resolved = await register_listed(self._store, self._source.name, resolved, today=self._day)
        await self._feed_store.begin(FeedRow(self._identity, self._spec, self._status("waiting")))
        from_ns = self._warmup_from_ns(now_ns)
        warmup = await self._source.minutes(self._listings, from_ns=from_ns, to_ns=now_ns // _MINUTE_NS * _MINUTE_NS)
        await self._sink.store(slice_of_candles(warmup))
        self._warm_ns = now_ns // _MINUTE_NS * _MINUTE_NS
        _log.info("live feed prepared", broker=self._source.name, instruments=len(self._resolved), candles=len(warmup))

    async def run(self, stop: asyncio.Event) -> None:
        """Follows the market until `stop`. Raises Unavailable where Redis or Postgres is lost."""
        try:
            if await take_shard(self._feed_store, stop):
                while not stop.is_set():
                    await self._follow_day(stop)
                    await self._next_day(stop)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Unavailable(f"Postgres: {reason}; started again, market_data goes on where it was") from error
        finally:
            await self._feed_store.release()
            self._source.close()

    async def _follow_day(self, stop: asyncio.Event) -> None:
        reader = FeedReader(self._source, self._listings)
        reading = asyncio.create_task(reader.run())
        stopping = asyncio.create_task(_arrive_on(stop, reader.arrived))
        try:
            candles = await self._taken_up()
            watch = Liveness({one.market_class for one in self._resolved.values()}, silent_ns=self._silent_ns)
            watch.opened(monotonic_ns())
            while not stop.is_set() and ist_date(self._clock.now_ns()) == self._day:
                await self._wait(reader.arrived)
                if reading.done():
                    reading.result()  # a defect in the reader ends the service, which is started again
                await self._turn(candles, reader, watch)
            for task in (self._storing, self._repairing):
                if task is not None:
                    await task
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    async def _next_day(self, stop: asyncio.Event) -> None:
        """Masters, contracts and hours are a day's: they are read again for the next one, until that works."""
        while not stop.is_set():
            try:
                self._source.renew()
                await self.prepare()
                return
            except (BrokerError, InvalidInput) as error:
                _log.error("the day cannot be prepared, trying again", error=str(error))
            try:
                await asyncio.wait_for(stop.wait(), _RETRY_SECONDS)
            except TimeoutError:
                continue

    async def _taken_up(self) -> LiveCandles:
        """The day's candle state, from the book and from what the broker's history adds since it was prepared."""
        start_ns = self._clock.now_ns() // _MINUTE_NS * _MINUTE_NS
        since = await self._source.minutes(self._listings, from_ns=self._warm_ns, to_ns=start_ns)
        await self._sink.store(slice_of_candles(since))
        classes = {instrument: one.market_class.value for instrument, one in self._resolved.items()}
        candles = LiveCandles(classes, start_ns=start_ns)
        midnight_ns = ist_midnight_ns(start_ns)
        rows = [np.empty(0, CANDLE)]
        for instrument in self._resolved:
            rows.append(
                await read_candles(self._store.pool, instrument=instrument, from_ns=midnight_ns, to_ns=start_ns)
            )
        candles.seed(np.concatenate(rows), from_open=False)
        self._candles_end_ns = start_ns
        return candles

    async def _wait(self, arrived: asyncio.Event) -> None:
        """Until something arrived, the next bar closes, or a second has passed."""
        now_ns = self._clock.now_ns() - self._grace_ns
        left_ns = (now_ns // _MINUTE_NS + 1) * _MINUTE_NS - now_ns
        seconds = min(_TURN_SECONDS, left_ns / self._speed / 1e9 + 0.001)
        try:
            await asyncio.wait_for(arrived.wait(), seconds)
        except TimeoutError:
            return

    async def _turn(self, candles: LiveCandles, reader: FeedReader, watch: Liveness) -> None:
        quotes = reader.take()
        now_ns = self._clock.now_ns()
        made = candles.turn(ticks_at(quotes, now_ns=now_ns, ahead_ns=self._ahead_ns), until_ns=now_ns - self._grace_ns)
        self._feed_store.require_taken()
        await self._publish_ticks(made.ticks, candles, now_ns)
        await self._publish_candles(made.candles, made.minutes, now_ns - self._grace_ns)
        await self._watch(candles, reader, watch, quotes, now_ns)
        await self._repair(reader.connections, made.ticks, now_ns)
        if monotonic_ns() >= self._status_due_ns:
            self._status_due_ns = monotonic_ns() + _STATUS_NS
            await self._feed_store.progress(self._status("running" if candles.open_ns <= now_ns else "waiting"))

    async def _publish_ticks(self, ticks: Records, candles: LiveCandles, now_ns: int) -> None:
        start_ns = self._ticks_end_ns or now_ns - self._grace_ns
        if len(ticks):
            end_ns = max(start_ns, int(ticks["ts_event_ns"].max()) + 1)
            await self._sink.publish(Slice(start_ns, end_ns, ticks, _NO_CANDLES, _NO_CANDLES))
            _TICKS_TAKEN.inc(len(ticks))
            _AGE.set((now_ns - end_ns) / 1e9)
        else:
            quiet = monotonic_ns() - self._published_ns >= _TURN_SECONDS * 1e9
            end_ns = now_ns - self._grace_ns
            if not quiet or end_ns <= start_ns or not candles.open_ns <= end_ns < candles.close_ns + _MINUTE_NS:
                return
            await self._sink.mark(start_ns, end_ns)
        self._ticks_end_ns, self._published_ns = end_ns, monotonic_ns()

    async def _publish_candles(self, candles: Records, minutes: Records, end_ns: int) -> None:
        if not len(candles):
            return
        end_ns = max(self._candles_end_ns, end_ns // _MINUTE_NS * _MINUTE_NS)
        piece = Slice(self._candles_end_ns, end_ns, _NO_TICKS, candles, minutes)
        if self._storing is not None:
            await self._storing
        await self._sink.publish(piece)
        self._storing = asyncio.create_task(self._sink.store(piece))
        self._candles_end_ns = end_ns
        self._bars += len(minutes)

    async def _watch(
        self, candles: LiveCandles, reader: FeedReader, watch: Liveness, quotes: Records, now_ns: int
    ) -> None:
        """Gives a connection up whose data has stopped in a session."""
        known = [self._resolved.get(each) for each in np.unique(quotes["instrument"]).tolist()]
        watch.heard({one.market_class for one in known if one is not None}, monotonic_ns())
        trading = {
            one.market_class for instrument, one in self._resolved.items() if candles.is_trading(instrument, now_ns)
        }
        silent = watch.silent(trading, monotonic_ns())
        if silent:
            _DROPPED.inc()
            _log.warning("no data in session, connecting again", market_classes=silent, broker=self._source.name)
            await reader.drop()
            watch.opened(monotonic_ns())

    async def _repair(self, connections: int, ticks: Records, now_ns: int) -> None:
        """The minutes of a lost connection are asked of the broker's history, and put right in the book."""
        span = self._gap.after(connections, bool(len(ticks)), now_ns)
        if span is None:
            return
        if self._repairing is not None:
            await self._repairing
        _log.warning("minutes of a lost connection are read from history", minutes=(span[1] - span[0]) // _MINUTE_NS)
        self._repairing = asyncio.create_task(self._fill(*span))

    async def _fill(self, from_ns: int, to_ns: int) -> None:
        minutes = await self._source.minutes(self._listings, from_ns=from_ns, to_ns=to_ns)
        if self._storing is not None:  # what was seen of these minutes must not come after what is true of them
            await asyncio.wait([self._storing])  # how it ended is its own turn's business
        await self._sink.store(slice_of_candles(minutes))

    async def _require_own_streams(self, now_ns: int) -> None:
        row, end_ns = await self._feed_store.read(), await streams_end_ns(self._bus)
        other = row is not None and row.spec.get("feed") != "live"
        if other or end_ns > now_ns + self._ahead_ns:
            held = f" up to {_shown(end_ns)} Indian time" if end_ns else ""
            raise InvalidInput(
                f"the streams of this namespace hold another market{held}, and it is {_shown(now_ns)} at "
                f"{self._source.name}: choose another TRADEBUS_NAMESPACE"
            )
        self._ticks_end_ns = end_ns

    def _warmup_from_ns(self, now_ns: int) -> int:
        day = self._day
        for _ in range(-(-self._warmup_minutes // _SESSION_MINUTES)):
            day = previous_trading_day(day)
        return min(ist_to_ns(day, time(0)), ist_midnight_ns(now_ns))

    @property
    def _listings(self) -> Mapping[int, ListedInstrument]:
        return {instrument: one.listing for instrument, one in self._resolved.items()}

    @property
    def _identity(self) -> str:
        return f"live-{self._source.name}"

    @property
    def _spec(self) -> Mapping[str, object]:
        symbols = [one.symbol for one in self._resolved.values()]
        return {"feed": "live", "broker": self._source.name, "symbols": symbols, "day": self._day.isoformat()}

    def _status(self, state: str) -> Mapping[str, object]:
        end_ns = self._ticks_end_ns
        return {
            "state": state, "bars": self._bars, "day": self._day.isoformat(), "event_ns": end_ns,
            "event_time_utc": utc_iso(end_ns) if end_ns else None,
        }  # fmt: skip


def _shown(ts_ns: int) -> str:
    return ist_datetime(ts_ns).strftime("%Y-%m-%d %H:%M")


async def _arrive_on(stop: asyncio.Event, arrived: asyncio.Event) -> None:
    """Ends the wait for data once the service is told to stop."""
    await stop.wait()
    arrived.set()


_NO_CANDLES: Records = np.empty(0, CANDLE)
_NO_TICKS: Records = np.empty(0, TICK)
