"""A broker's live market, day after day: each day's instruments are read, then a `DayFollower` follows them.

take the shard ─► master of the day ─► DayFollower until midnight ─► master of the next day …
"""

import asyncio
from collections.abc import Mapping

import asyncpg
import structlog

from services.market_data.books import MarketBooks
from services.market_data.books.shard_right import take_shard
from services.market_data.chains.poll import ChainPoll, poll_beside
from services.market_data.feeds.live.day import FollowedDay, read_day
from services.market_data.feeds.live.follower import DayFollower, Timing
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.publisher import LivePublisher
from services.market_data.feeds.live.source import LiveSource
from services.market_data.feeds.live.watch import DataWatch
from services.market_data.feeds.recorded.feeder import streams_end_ns
from services.market_data.gaps.ledger import GapLedger
from services.market_data.settings import DEFAULT_SYMBOLS, MarketDataSettings
from tradebus.brokers.errors import BrokerError
from tradebus.bus.port import Bus
from tradebus.kernel.errors import InvalidInput, Unavailable
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_datetime, utc_iso
from tradebus.store.books.feeds import FeedRow
from tradebus.waiting.timers import sleep

_STATUS_NS = 2 * NANOSECONDS_PER_SECOND
_RETRY_SECONDS = 5.0
_log = structlog.get_logger()


class LiveFeeder:
    """The component that owns the market-data streams of one shard while a broker's market is followed."""

    def __init__(
        self, settings: MarketDataSettings, *, source: LiveSource, bus: Bus, books: MarketBooks, ledger: GapLedger,
        timing: Timing, metrics: LiveMetrics,
    ) -> None:  # fmt: skip
        self._settings, self._source, self._bus, self._books = settings, source, bus, books
        self._ledger, self._timing, self._metrics, self._timers = ledger, timing, metrics, timing.timers
        self._day: FollowedDay | None = None
        self._publisher = LivePublisher(
            bus, books.book, ticks_end_ns=0, metrics=metrics, monotonic_ns=timing.timers.monotonic_ns
        )  # fmt: skip
        self._status_due_ns = 0

    async def prepare(self) -> None:
        """Registers the day's instruments. Raises BrokerError, and InvalidInput where a name is unknown or the streams
        hold another market."""
        now_ns = self._timing.clock.now_ns()
        self._publisher.ticks_end_ns = await self._own_streams_end_ns(now_ns)
        self._day = await read_day(
            self._source, self._books, self._settings.symbols or DEFAULT_SYMBOLS,
            full_names=self._settings.full_symbols, connections=self._settings.feed_connections, now_ns=now_ns,
        )  # fmt: skip
        row = FeedRow(f"live-{self._source.name}", self._spec(self._day), self._status(self._day, "waiting", 0))
        await self._books.feeds.begin(row)
        _log.info("live feed prepared", broker=self._source.name, instruments=len(self._day.resolved))

    async def run(self, stop: asyncio.Event) -> None:
        """Follows the market until `stop`. Raises Unavailable where Redis or Postgres is lost."""
        try:
            if await take_shard(self._books.right, stop, timers=self._timers):
                while not stop.is_set() and self._day is not None:
                    await self._follow(self._day, stop)
                    await self._next_day(stop)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Unavailable(f"Postgres: {reason}; started again, market_data goes on where it was") from error
        finally:
            await self._books.right.release()
            self._source.close()

    async def _follow(self, day: FollowedDay, stop: asyncio.Event) -> None:
        follower = DayFollower(
            day, self._source, self._publisher, self._ledger, stored=self._books.candles, timing=self._timing,
            metrics=self._metrics, require_alone=self._books.right.require_taken,
        )  # fmt: skip

        async def turned(watch: DataWatch) -> None:
            now_ns = self._timers.monotonic_ns()
            if now_ns >= self._status_due_ns:
                self._status_due_ns = now_ns + _STATUS_NS
                is_open = 0 < follower.hours_ns[0] <= self._timing.clock.now_ns()
                state = "running" if is_open else "waiting"
                await self._books.feeds.progress(self._status(day, state, watch.unheard))

        def trades() -> bool:
            open_ns, close_ns = follower.hours_ns
            return 0 < open_ns <= self._timing.clock.now_ns() < close_ns

        poll = ChainPoll(
            day.indices, self._source, self._books.chains, clock=self._timing.clock,
            timers=self._timers, is_open=trades, seconds=self._settings.poll_seconds,
        )  # fmt: skip
        await poll_beside(poll, asyncio.create_task(follower.run(stop, turned=turned)))

    async def _next_day(self, stop: asyncio.Event) -> None:
        """Masters, contracts and hours are a day's: they are read again for the next one, until that works."""
        while not stop.is_set():
            try:
                self._source.renew()
                await self.prepare()
                return
            except (BrokerError, InvalidInput) as error:
                _log.error("the day cannot be prepared, trying again", error=str(error))
            await sleep(self._timers, _RETRY_SECONDS, unless=stop)

    async def _own_streams_end_ns(self, now_ns: int) -> int:
        row, end_ns = await self._books.feeds.read(), await streams_end_ns(self._bus)
        other = row is not None and row.spec.get("feed") != "live"
        if other or end_ns > now_ns + self._timing.ahead_ns:
            held = f" up to {_shown(end_ns)} Indian time" if end_ns else ""
            raise InvalidInput(
                f"the streams of this namespace hold another market{held}, and it is {_shown(now_ns)} at "
                f"{self._source.name}: choose another TRADEBUS_NAMESPACE"
            )
        return end_ns

    def _spec(self, day: FollowedDay) -> Mapping[str, object]:
        symbols = list(day.symbols.values())
        return {
            "feed": "live", "broker": self._source.name, "symbols": symbols, "day": day.day.isoformat(),
            "full": sorted(day.symbols[each] for each in day.full), "chains": list(day.indices),
        }  # fmt: skip

    def _status(self, day: FollowedDay, state: str, unheard: int) -> Mapping[str, object]:
        """`unheard`: instruments that were asked for in an open session and have brought no data."""
        end_ns = self._publisher.ticks_end_ns
        return {
            "state": state, "bars": self._publisher.bars, "day": day.day.isoformat(), "event_ns": end_ns,
            "event_time_utc": utc_iso(end_ns) if end_ns else None, "instruments": len(day.resolved),
            "unheard": unheard,
        }  # fmt: skip


def _shown(ts_ns: int) -> str:
    return ist_datetime(ts_ns).strftime("%Y-%m-%d %H:%M")
