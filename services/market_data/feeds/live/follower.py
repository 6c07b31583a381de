"""One trading day of a broker's market, from its sockets to the streams and the book.

    FeedConnections ─► QUOTE batches ─► ticks ─► LiveCandles ─► LivePublisher ─► md.ticks, md.quotes, md.candles, book
    the market's clock ──────────────────────────┘ closes bars        ▲
    DataWatch ─► gap ledger ─► Repairs (history, beside) ─► restore ──┘ corrections, told as such

Free-running: what arrived while the last turn was published is the next turn's one batch. Nothing is done per tick, and
no tick waits for history: the book gives what it has, the rest is read beside and told as corrections.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import time

import numpy as np

from services.market_data.candles.live import LiveCandles, Mask
from services.market_data.feeds.live.connections import FeedConnections
from services.market_data.feeds.live.day import FollowedDay
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.publisher import LivePublisher
from services.market_data.feeds.live.source import LiveSource
from services.market_data.feeds.live.ticks import quotes_at, ticks_at
from services.market_data.feeds.live.watch import DataWatch
from services.market_data.gaps.gap import FeedGroup, Gap
from services.market_data.gaps.ledger import GapLedger
from services.market_data.gaps.repair import RepairJob, Repairs, Restored
from tradebus.calendar import previous_trading_day
from tradebus.contracts.records import CANDLE, QUOTE, Records
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date, ist_midnight_ns, ist_to_ns
from tradebus.kernel.timers import Timers
from tradebus.store.books import CandlesBook
from tradebus.waiting.timers import sleep

MINUTE_NS = 60 * NANOSECONDS_PER_SECOND
_TURN_SECONDS = 1.0  # no turn waits longer: the time goes on without ticks too
_SESSION_MINUTES = 360
_LATE_NS = 30 * NANOSECONDS_PER_SECOND  # of market time: what a broker's history needs to have a minute that has ended
_BARS = ("open_paise", "high_paise", "low_paise", "close_paise", "volume", "open_interest")


@dataclass(frozen=True, slots=True)
class Timing:
    """The market's clock, which runs `speed` times as fast as the machine's, and what is allowed to take how long."""

    clock: Clock
    speed: float
    timers: Timers  # of the machine
    grace_ns: int  # of market time: ticks of a bar may arrive so long after its end
    ahead_ns: int  # of market time: an exchange time further ahead than this is not believed
    silent_ns: int  # of machine time: data that stays away so long in a session has stopped
    login_seconds: float
    retry_seconds: float
    warmup_minutes: int


class DayFollower:
    """The parts of one day, made anew for the next."""

    def __init__(
        self, day: FollowedDay, source: LiveSource, publisher: LivePublisher, ledger: GapLedger, *, stored: CandlesBook,
        timing: Timing, metrics: LiveMetrics, require_alone: Callable[[], None],
    ) -> None:  # fmt: skip
        self._day, self._source, self._publisher, self._ledger = day, source, publisher, ledger
        self._stored, self._timing, self._metrics, self._require_alone = stored, timing, metrics, require_alone
        self._connections = FeedConnections(
            source, day.asked(), login_seconds=timing.login_seconds, metrics=metrics, timers=timing.timers
        )  # fmt: skip
        self._repairs = Repairs(
            source, self._restore, ledger, broker=source.name, retry_seconds=timing.retry_seconds,
            now_ns=timing.clock.now_ns, timers=timing.timers,
        )  # fmt: skip
        # A turn and what history has put right take the candles in hand one after the other.
        self._working = asyncio.Lock()
        self._candles = LiveCandles(day.terms, start_ns=timing.clock.now_ns() // MINUTE_NS * MINUTE_NS)
        self._trading_now: set[FeedGroup] = set()
        self._trading_minute = -1

    @property
    def hours_ns(self) -> tuple[int, int]:
        """The day's first open and last close (exclusive); zeros where nothing trades."""
        return self._candles.open_ns, self._candles.close_ns

    async def run(self, stop: asyncio.Event, *, turned: Callable[[DataWatch], Awaitable[None]]) -> None:
        """Follows the day to its end, or until `stop`; `turned` is called after every turn. Raises what is a defect in
        a part, and what Redis or Postgres raise."""
        watch = DataWatch(
            self._day, self._connections, self._ledger, broker=self._source.name, since_ns=self._timing.clock.now_ns(),
            silent_ns=self._timing.silent_ns, filled=self._fill, metrics=self._metrics,
            monotonic_ns=self._timing.timers.monotonic_ns,
        )  # fmt: skip
        working = [asyncio.create_task(part.run()) for part in (self._connections, self._repairs)]
        stopping = asyncio.create_task(_arrive_on(stop, self._connections.arrived))
        try:
            await self._take_up(watch)
            while not stop.is_set() and ist_date(self._timing.clock.now_ns()) == self._day.day:
                await self._wait()
                for task in working:
                    if task.done():
                        task.result()  # a defect in a part ends the service, which is started again
                await self._turn(watch)
                await turned(watch)
            await self._publisher.stored()
        finally:
            for task in (*working, stopping):
                task.cancel()
            await asyncio.gather(*working, stopping, return_exceptions=True)

    async def _take_up(self, watch: DataWatch) -> None:
        """The day's candle state from the book; what the book lacks is asked of history, and nobody waits for that."""
        start_ns, now_ns = self._candles.clock_ns, self._timing.clock.now_ns()
        rows = [np.empty(0, CANDLE)]
        for instrument in self._day.resolved:
            rows.append(await self._book(instrument, from_ns=ist_midnight_ns(start_ns), to_ns=start_ns))
        self._candles.seed(np.concatenate(rows), from_open=False)
        reached_ns = self._publisher.ticks_end_ns
        self._publisher.begin_day(start_ns)
        for gap in await self._ledger.unfilled():
            self._fill(gap if gap.to_ns is not None else replace(gap, to_ns=start_ns + MINUTE_NS))
        trading = self._trading(now_ns)
        limit_ns = int(self._timing.silent_ns * self._timing.speed)
        if ist_date(reached_ns) == self._day.day and now_ns - max(reached_ns, self._candles.open_ns) > limit_ns:
            from_ns = max(reached_ns, self._candles.open_ns) // MINUTE_NS * MINUTE_NS
            await watch.missed(trading, from_ns=from_ns, now_ns=now_ns, to_ns=start_ns + MINUTE_NS)
        self._ask(from_ns=self._warmup_from_ns(), to_ns=start_ns, reason="warm-up")
        if trading:
            self._ask(from_ns=start_ns, to_ns=start_ns + MINUTE_NS, reason="the minute that was joined")

    def _ask(self, *, from_ns: int, to_ns: int, reason: str) -> None:
        job = RepairJob(self._day.symbols, from_ns, to_ns, reason, due_ns=self._there_ns(to_ns))
        self._repairs.ask(job)

    def _fill(self, gap: Gap) -> None:
        """Asks history about a gap whose data is back; what is not listed any more cannot be asked about."""
        symbols = {each: self._day.symbols[each] for each in gap.instruments if each in self._day.symbols}
        if gap.to_ns is not None and symbols:
            due_ns = self._there_ns(gap.to_ns)
            self._repairs.ask(RepairJob(symbols, gap.from_ns, gap.to_ns, gap.reason, due_ns=due_ns, gap=gap))

    def _there_ns(self, to_ns: int) -> int:
        """The monotonic instant from which a broker's history can be expected to hold all before `to_ns`."""
        left_ns = max(0, to_ns + self._timing.grace_ns + _LATE_NS - self._timing.clock.now_ns())
        return self._timing.timers.monotonic_ns() + int(left_ns / self._timing.speed)

    async def _wait(self) -> None:
        """Until something arrived, the next bar closes, or a second has passed."""
        now_ns = self._timing.clock.now_ns() - self._timing.grace_ns
        left_ns = (now_ns // MINUTE_NS + 1) * MINUTE_NS - now_ns
        seconds = min(_TURN_SECONDS, left_ns / self._timing.speed / 1e9 + 0.001)
        await sleep(self._timing.timers, seconds, unless=self._connections.arrived)

    async def _turn(self, watch: DataWatch) -> None:
        async with self._working:
            quotes = self._connections.take()
            now_ns = self._timing.clock.now_ns()
            await self._work(quotes, now_ns)
        await watch.turn(quotes, trading=self._trading(now_ns), now_ns=now_ns)
        self._metrics.repairs_waiting.set(self._repairs.waiting)

    async def _work(self, quotes: Records, now_ns: int) -> None:
        """Works in what arrived by `now_ns`, and closes what has ended."""
        ahead_ns, closed_ns = self._timing.ahead_ns, now_ns - self._timing.grace_ns
        made = self._candles.turn(ticks_at(quotes, now_ns=now_ns, ahead_ns=ahead_ns), until_ns=closed_ns)
        full = quotes_at(quotes, self._day.in_full, now_ns=now_ns, ahead_ns=ahead_ns)
        self._require_alone()
        if len(made.ticks) or len(full):
            await self._publisher.ticks(made.ticks, full, now_ns=now_ns)
        elif self._candles.open_ns <= closed_ns < self._candles.close_ns + MINUTE_NS:
            await self._publisher.mark(closed_ns)
        await self._publisher.candles(made.candles, made.minutes, end_ns=closed_ns)

    async def _restore(self, minutes: Records) -> Restored:
        """One instrument's minutes as history has them: into the book, and those of today into the candles in hand."""
        today = minutes["ts_open_ns"] >= ist_midnight_ns(self._candles.clock_ns)
        before = minutes[~today]
        before = before[await self._differing(before)]
        await self._publisher.restored(before, _NO_CANDLES)
        async with self._working:
            # What was seen of these minutes is closed, said and stored first: it must not come after what is true.
            await self._work(_NO_QUOTES, self._timing.clock.now_ns())
            await self._publisher.stored()
            own = minutes[today & (minutes["ts_close_ns"] <= self._candles.clock_ns)]
            changed = await self._differing(own)
            corrected = self._candles.restore(own, changed=changed)
            await self._publisher.restored(own[changed], corrected)
        return Restored(int((~today).sum()) + len(own), len(before) + int(changed.sum()))

    async def _differing(self, minutes: Records) -> Mask:
        """Shape [rows]: whether the book lacks this minute of the instrument, or has it otherwise. Open interest that
        history does not give stays as it was seen."""
        if not len(minutes):
            return np.zeros(0, np.bool_)
        opens = minutes["ts_open_ns"]
        book = await self._book(int(minutes["instrument"][0]), from_ns=int(opens.min()), to_ns=int(opens.max()) + 1)
        if not len(book):
            return np.ones(len(minutes), np.bool_)
        place = np.minimum(np.searchsorted(book["ts_open_ns"], opens), len(book) - 1)
        there = book["ts_open_ns"][place] == opens
        seen = book["open_interest"][place]
        minutes["open_interest"] = np.where(there & (minutes["open_interest"] == 0), seen, minutes["open_interest"])
        same = there.copy()
        for name in _BARS:
            same &= book[name][place] == minutes[name]
        differing: Mask = ~same
        return differing

    async def _book(self, instrument: int, *, from_ns: int, to_ns: int) -> Records:
        return await self._stored.read(instrument=instrument, from_ns=from_ns, to_ns=to_ns)

    def _trading(self, now_ns: int) -> set[FeedGroup]:
        """Whose session it is; sessions begin and end with whole minutes, so this is looked up once in each."""
        minute = now_ns // MINUTE_NS
        if minute != self._trading_minute:
            groups = self._day.groups.items()
            self._trading_now = {group for instrument, group in groups if self._candles.is_trading(instrument, now_ns)}
            self._trading_minute = minute
        return self._trading_now

    def _warmup_from_ns(self) -> int:
        day = self._day.day
        for _ in range(-(-self._timing.warmup_minutes // _SESSION_MINUTES)):
            day = previous_trading_day(day)
        return min(ist_to_ns(day, time(0)), ist_midnight_ns(self._candles.clock_ns))


async def _arrive_on(stop: asyncio.Event, arrived: asyncio.Event) -> None:
    """Ends the wait for data once the service is told to stop."""
    await stop.wait()
    arrived.set()


_NO_CANDLES: Records = np.empty(0, CANDLE)
_NO_QUOTES: Records = np.empty(0, QUOTE)
