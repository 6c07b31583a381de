"""Wires the feed."""

from collections.abc import Sequence
from datetime import date

import structlog
from prometheus_client import CollectorRegistry

from services.market_data.books import MarketBooks, market_books
from services.market_data.feeds.bus_sink import BusSink
from services.market_data.feeds.live.feeder import LiveFeeder
from services.market_data.feeds.live.follower import Timing
from services.market_data.feeds.live.metrics import LiveMetrics
from services.market_data.feeds.live.source import LiveSource
from services.market_data.feeds.ports import Pace, RecordedFeed
from services.market_data.feeds.recorded.feeder import Feeder, streams_end_ns
from services.market_data.feeds.recorded.generated_feed import GeneratedFeed
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from services.market_data.feeds.recorded.pacing import ClockPace, EventTime, GridPace, OrdersGate
from services.market_data.feeds.recorded.progress import Progress, ProgressMetrics
from services.market_data.gaps.ledger import GapLedger
from services.market_data.settings import DEFAULT_SYMBOLS, FeedKind, MarketDataSettings
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.port import Bus
from tradebus.calendar import is_trading_day, next_trading_day
from tradebus.contracts.instruments import Instrument
from tradebus.history.loading import load_history
from tradebus.history.vendors.reading import parse_reading
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.kernel.timers import Timers
from tradebus.runtime.auditing import AuditKeeper, audit_folder
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.books import FeedsBook, audit_book
from tradebus.store.store import Store
from tradebus.symbols.descriptions import Description, instrument_of, require_known

_AHEAD_SECONDS = 2  # of the machine: an exchange time further ahead than this is not believed
_log = structlog.get_logger()


async def build(
    settings: MarketDataSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    ids: IdSource,
    timers: Timers,
    registry: CollectorRegistry,
    open_broker: OpenBroker = open_broker,
    **_: object,
) -> Sequence[Component]:
    """The feed, measured in `registry`. Every id here derives from what caused it, but those of requests to a broker in
    the audit: they are drawn from `ids`."""
    folder = audit_folder(settings.state_dir, settings.namespace)
    spool = Spool(folder, name=f"market_data-{settings.instance}", clock=clock, ids=ids)
    components = await wire(
        settings, bus=bus, book=store, clock=clock, timers=timers, registry=registry, log_of=spool.of,
        open_broker=open_broker,
    )  # fmt: skip
    if not settings.feed.is_live:
        return components
    return [*components, AuditKeeper(folder, audit_book(store), spool, timers=timers, registry=registry)]


async def wire(
    settings: MarketDataSettings, *, bus: Bus, book: Book, clock: Clock, timers: Timers, registry: CollectorRegistry,
    log_of: LogOf, open_broker: OpenBroker = open_broker,
) -> Sequence[Component]:  # fmt: skip
    """The feed on any book and bus. Raises InvalidInput before anything is stored or published where the history is
    not sound, a symbol is unknown to the broker or its login is not stored; BrokerError where the broker does not
    answer."""
    books = market_books(book, namespace=settings.namespace)
    if settings.feed.is_live:
        live = await _live(
            settings, bus=bus, books=books, clock=clock, timers=timers, log_of=log_of, open_broker=open_broker,
            registry=registry,
        )  # fmt: skip
        return [live]
    feed = await _feed(settings, bus=bus, feeds=books.feeds, clock=clock)
    instruments = await _register(books, feed.instruments)
    paced = settings.paced
    return [
        Feeder(
            feed,
            instruments,
            bus=bus,
            sink=BusSink(bus, book, received=None if paced else clock, keep_empty=paced),
            books=books,
            pace=_pace(settings, bus=bus, timers=timers),
            progress=Progress(
                feed.days,
                bus=bus,
                feeds=books.feeds,
                metrics=ProgressMetrics(registry),
                monotonic_ns=timers.monotonic_ns,
            ),
            wait_for_session=paced and not settings.start_immediately,
            timers=timers,
        )
    ]


async def _live(
    settings: MarketDataSettings, *, bus: Bus, books: MarketBooks, clock: Clock, timers: Timers,
    log_of: LogOf, open_broker: OpenBroker, registry: CollectorRegistry,
) -> LiveFeeder:  # fmt: skip
    market, speed = settings.clock_of_market(clock)
    timing = Timing(
        clock=market,
        speed=speed,
        timers=timers,
        grace_ns=int(settings.close_grace_ms * 1e6 * speed),
        ahead_ns=int(_AHEAD_SECONDS * NANOSECONDS_PER_SECOND * speed),
        silent_ns=int(settings.feed_silent_seconds * NANOSECONDS_PER_SECOND),
        login_seconds=settings.login_seconds,
        retry_seconds=settings.backfill_retry_seconds,
        warmup_minutes=settings.warmup_minutes,
    )
    feeder = LiveFeeder(
        settings,
        source=LiveSource(settings, open_broker, log_of=log_of, clock=market, timers=timers),
        bus=bus,
        books=books,
        ledger=GapLedger(books.book, books.gaps, bus, timers=timers),
        timing=timing,
        metrics=LiveMetrics(registry),
    )
    await feeder.prepare()
    return feeder


async def _feed(settings: MarketDataSettings, *, bus: Bus, feeds: FeedsBook, clock: Clock) -> RecordedFeed:
    if settings.feed is FeedKind.HISTORY and settings.history is not None:
        history = load_history(
            settings.history,
            symbols=settings.symbols,
            from_date=settings.from_date,
            to_date=settings.to_date,
            warmup_minutes=settings.warmup_minutes,
            reading=parse_reading(
                columns=settings.history_columns, timezone=settings.history_timezone, stamps=settings.history_stamps
            ),
        )
        if history.warmup_dropped:
            _log.warning("unsound rows before the window are no warm-up", rows=history.warmup_dropped)
        return HistoryFeed(history, ticks_per_minute=settings.ticks_per_minute, seed=settings.seed)
    symbols = require_known(settings.symbols or DEFAULT_SYMBOLS)
    if settings.from_date is not None:
        return _generated(settings, symbols, settings.from_date, settings.to_date or settings.from_date)
    row = await feeds.read()
    if row is not None and row.spec.get("feed") == "generated" and row.status.get("state") != "finished":
        held = _generated(settings, symbols, date.fromisoformat(row.spec["from"]), date.fromisoformat(row.spec["to"]))
        if held.identity == row.identity:
            return held  # started on an earlier day and killed: it goes on with the day it had chosen
    return _generated(settings, symbols, *[_next_day(clock.now_ns(), after_ns=await streams_end_ns(bus))] * 2)


def _generated(settings: MarketDataSettings, symbols: Sequence[str], first: date, last: date) -> GeneratedFeed:
    return GeneratedFeed(
        symbols, first=first, last=last, ticks_per_minute=settings.ticks_per_minute, seed=settings.seed,
        warmup_minutes=settings.warmup_minutes,
    )  # fmt: skip


def _next_day(now_ns: int, *, after_ns: int) -> date:
    """Today where the market trades today, else the next trading day; later than what the streams hold."""
    day = ist_date(now_ns)
    day = day if is_trading_day(day) else next_trading_day(day)
    held = ist_date(after_ns)
    return day if held < day else next_trading_day(held)


async def _register(books: MarketBooks, wanted: Sequence[Description]) -> list[Instrument]:
    """The feed's instruments under stable ids: their own where they are registered already."""
    master = books.instruments
    async with books.book.begin() as transaction:
        ids = await master.allocate(transaction, [item.symbol for item in wanted])
        rows = [instrument_of(item, ids[item.symbol]) for item in wanted]
        aliases = {alias: item.symbol for item in wanted for alias in item.aliases}
        await master.register(transaction, rows, aliases=aliases)
    return rows


def _pace(settings: MarketDataSettings, *, bus: Bus, timers: Timers) -> Pace:
    timer = None if settings.speed == "max" else EventTime(timers, speed=settings.speed)
    if timer is not None and not settings.paced:
        return ClockPace(timer)
    gate = OrdersGate(bus) if settings.paced else None
    return GridPace(slice_ns=settings.slice_seconds * NANOSECONDS_PER_SECOND, gate=gate, timer=timer)
