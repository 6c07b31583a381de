"""Runs a feed: one slice after the other, from wherever the streams end.

    take the shard ─► where do the streams end? ─► store that slice's candles again ─► go on
                          └ nothing there: store the warm-up, wait for a session

A slice is published all or nothing; its candles are stored while the others work on it, and before the next one goes
out. The content is a function of the feed alone, so a feed that was killed anywhere leaves the streams as if it had not
been: the last slice is read off the streams' end, and the next one is cut again from the same day.
"""

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg
import structlog

from services.market_data.books import MarketBooks
from services.market_data.books.shard_right import take_shard
from services.market_data.candles.day import plan_day
from services.market_data.candles.plan import DayPlan, slice_of_candles
from services.market_data.feeds.bus_sink import CANDLES, END_OF_FEED, TICKS
from services.market_data.feeds.ports import FeedDay, Pace, RecordedFeed, SliceSink
from services.market_data.feeds.position import FeedPosition, Streams, position_of
from services.market_data.feeds.recorded.progress import Progress
from tradebus.bus.port import Bus, Entry, Outgoing
from tradebus.calendar import TradingSession, session_of
from tradebus.contracts.instruments import Instrument
from tradebus.contracts.records import CANDLE, decode
from tradebus.contracts.sessions import SessionStarted, SessionStatus
from tradebus.contracts.streams import SESSIONS
from tradebus.kernel.errors import Unavailable
from tradebus.kernel.timers import Timers
from tradebus.store.books.feeds import FeedRow

_SESSION_POLL_MS = 500
_TRADING = (SessionStatus.RUNNING, SessionStatus.PAUSED)
_log = structlog.get_logger()


class Feeder:
    """The component that owns md.ticks and md.candles of one shard."""

    def __init__(
        self,
        feed: RecordedFeed,
        instruments: Sequence[Instrument],
        *,
        bus: Bus,
        sink: SliceSink,
        books: MarketBooks,
        pace: Pace,
        progress: Progress,
        wait_for_session: bool,
        timers: Timers,
    ) -> None:
        self.feed = feed
        self._bus, self._sink, self._pace = bus, sink, pace
        self._books, self._progress = books, progress
        self._instruments = instruments
        self._instrument_of = {item.symbol: item.instrument_id for item in instruments}
        self._wait_for_session, self._timers = wait_for_session, timers

    async def run(self, stop: asyncio.Event) -> None:
        """Publishes the feed to its end, then waits for `stop`. Raises Unavailable where Redis or Postgres is lost:
        started again, it goes on where it was."""
        try:
            if await take_shard(self._books.right, stop, timers=self._timers):
                await self._feed_all(stop)
                await stop.wait()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Unavailable(f"Postgres: {reason}; started again, market_data goes on where it was") from error
        finally:
            await self._books.right.release()

    async def _feed_all(self, stop: asyncio.Event) -> None:
        row = await self._books.feeds.read()
        tail = await self._bus.tail(CANDLES, count=1)
        position = position_of(
            Streams(await streams_end_ns(self._bus), ended=bool(tail) and tail[-1].kind == END_OF_FEED),
            held_identity=row.identity if row else None,
            identity=self.feed.identity,
            first_open_ns=self.feed.days[0].open_ns,
        )
        if position.fresh:
            await self._begin()
            if self._wait_for_session and not await self._session_started(stop):
                return
        else:
            await self._store_again(tail)
        _log.info("feeding", identity=self.feed.identity, fresh=position.fresh, finished=position.finished)
        if not position.finished:
            await self._feed_days(position, stop)

    async def _begin(self) -> None:
        warmup = self.feed.warmup(self._instrument_of)
        await self._sink.store(slice_of_candles(warmup))
        await self._books.feeds.begin(FeedRow(self.feed.identity, self.feed.spec, self._progress.status()))
        _log.info("feed begins", warmup_candles=len(warmup), **self.feed.spec)

    async def _store_again(self, tail: list[Entry]) -> None:
        """The last slice's candles: a kill may have come after publishing and before storing them."""
        for entry in tail:
            if entry.kind == "candles":
                await self._sink.store(slice_of_candles(decode(entry.body, CANDLE)))

    async def _session_started(self, stop: asyncio.Event) -> bool:
        """Waits for anybody to trade: a paced feed nobody follows would run into the void."""
        newest = await self._bus.tail(SESSIONS.name, count=1)
        after = {SESSIONS.name: newest[-1].entry_id if newest else "0"}
        if any(one.status in _TRADING for one in await self._books.sessions.alive()):
            return True
        _log.info("waiting for a session")
        while not stop.is_set():
            for entry in await self._bus.follow([SESSIONS.name], after=after, block_ms=_SESSION_POLL_MS):
                after[SESSIONS.name] = entry.entry_id
                if entry.kind == SessionStarted.TYPE:
                    return True
        return False

    async def _feed_days(self, position: FeedPosition, stop: asyncio.Event) -> None:
        start_ns, fresh = position.start_ns, position.fresh
        for day in self.feed.days:
            if day.close_ns <= start_ns:
                self._progress.skip(day)
                continue
            reached_ns = await self._feed_day(day, start_ns, fresh=fresh, stop=stop)
            if reached_ns is None:
                return
            start_ns, fresh = reached_ns, False
            await self._progress.day_done(day)
        if not await self._pace.settled(start_ns, stop=stop):
            return
        self._books.right.require_taken()
        await self._bus.publish([Outgoing(CANDLES, END_OF_FEED, watermark_ns=start_ns, slice_start_ns=start_ns)])
        await self._progress.finished()

    async def _feed_day(self, day: FeedDay, start_ns: int, *, fresh: bool, stop: asyncio.Event) -> int | None:
        """Publishes a day from `start_ns` on; returns its end, None where `stop` was set."""
        plan = self._plan(day)
        self._pace.begin_day(day, plan, start_ns=start_ns)
        self._progress.begin_day(day, plan, start_ns=start_ns)
        storing: asyncio.Task[None] | None = None
        try:
            while start_ns < day.close_ns:
                end_ns = self._pace.propose(start_ns)
                piece = plan.cut(start_ns, end_ns)
                if not fresh:
                    due_ns = await self._pace.due(start_ns, end_ns, stop=stop)
                    if due_ns is None:
                        return None
                    piece = piece if due_ns == end_ns else plan.cut(start_ns, due_ns)
                if storing is not None:
                    await storing
                fresh = False
                self._books.right.require_taken()
                await self._sink.publish(piece)
                storing = asyncio.create_task(self._sink.store(piece))
                start_ns = piece.end_ns
                await self._progress.published(piece)
        finally:
            if storing is not None:
                await storing
        return start_ns

    def _plan(self, day: FeedDay) -> DayPlan:
        ticks = self.feed.ticks(day, self._instrument_of)
        return plan_day(ticks, sessions=self._sessions(day))

    def _sessions(self, day: FeedDay) -> Mapping[int, TradingSession]:
        found = {item.instrument_id: session_of(item, day.day) for item in self._instruments}
        return {instrument: session for instrument, session in found.items() if session is not None}


async def streams_end_ns(bus: Bus) -> int:
    """The event time up to which the market-data streams are filled; 0 where they are empty."""
    ticks_ns, candles_ns = await bus.last_watermark(TICKS), await bus.last_watermark(CANDLES)
    return max(0 if ticks_ns is None else ticks_ns + 1, candles_ns or 0)
