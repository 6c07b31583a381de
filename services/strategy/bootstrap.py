"""Puts the strategy service together from what it is given."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from services.strategy.adapters.history import CandleHistory
from services.strategy.adapters.journal import Journal
from services.strategy.adapters.market import RunningMarketBook
from services.strategy.adapters.publisher import ServersPublisher
from services.strategy.adapters.seen import ChainReader, RunningMarketSeen
from services.strategy.adapters.tick_stream import QUOTES, TickStream
from services.strategy.answers.late import LateAnswers, Rendering
from services.strategy.component import StrategyComponent
from services.strategy.deciding import Deciding
from services.strategy.desks import Desks
from services.strategy.handlers import Handlers
from services.strategy.ports import DecisionJournal
from services.strategy.reader import CONSUMER, GROUP
from services.strategy.sessions.recovery import SessionRecovery
from services.strategy.sessions.taking import Taking
from services.strategy.settings import Settings
from services.strategy.streams import StrategyInput, watermark_of
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import Consumer, ConsumerMetrics, Policy
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.books import candles_book, sessions_book
from tradebus.store.store import Store
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.strategies.lane.shared import SharedLane


async def build(
    settings: Settings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers,
    registry: CollectorRegistry | None = None,
) -> Sequence[Component]:  # fmt: skip
    """The components, with the sessions it had taken up again and its input open.

    `ids` is not used: every id here derives from what caused it.
    """
    wired = wire(
        settings, bus=bus, book=store, journal=Journal(store), clock=clock, timers=timers,
        registry=registry or CollectorRegistry(),
    )  # fmt: skip
    await wired.component.start()
    return wired.components


class WiredStrategy:
    """A strategy service, put together and not started. `recovery` is None in a paced run."""

    def __init__(self, component: StrategyComponent, recovery: SessionRecovery | None) -> None:
        self.component, self.recovery = component, recovery

    @property
    def components(self) -> Sequence[Component]:
        return [self.component] if self.recovery is None else [self.component, self.recovery]


def wire(
    settings: Settings, *, bus: Bus, book: Book, journal: DecisionJournal, clock: Clock, timers: Timers,
    registry: CollectorRegistry,
) -> WiredStrategy:  # fmt: skip
    """The service on any book and bus. Paced, data alone is time, and nothing is done out of turn."""
    active, positions, lane, sessions = ActiveSessions(), PositionBook(), SharedLane(), sessions_book(book)
    ticks = TickStream(bus, group=GROUP, consumer=CONSUMER)
    quotes = TickStream(bus, group=GROUP, consumer=CONSUMER, stream=QUOTES)
    market, seen = RunningMarketBook(book), RunningMarketSeen()
    chains = ChainReader(active, market, seen)
    desks = Desks(limits=settings.isolation, timers=timers, lane=lane)
    deciding = Deciding(
        active, history=CandleHistory(candles_book(book)), desks=desks, lane=lane, book=positions,
        conflicts=settings.conflicts, paced=settings.paced,
    )  # fmt: skip
    taking = Taking(
        active, store=book, book=positions, desks=desks, ticks=ticks, quotes=quotes, market=market, seen=seen,
        chains=chains, clock=clock, paced=settings.paced,
    )  # fmt: skip
    rendering = Rendering(sessions=sessions, active=active, clock=clock, registry=registry)
    late = LateAnswers(deciding.concluding, rendering, bus=bus, journal=journal)
    handlers = Handlers(
        bus=bus, journal=journal, active=active, book=positions, taking=taking, deciding=deciding, rendering=rendering,
        late=late, seen=seen,
    )  # fmt: skip
    source = StrategyInput(bus, active, ticks=ticks, quotes=quotes, paced=settings.paced)
    consumer = Consumer(
        "strategy", open_input=source.open, handler=handlers, publisher=ServersPublisher(bus, book), timers=timers,
        metrics=ConsumerMetrics(registry), paced=settings.paced, owed=watermark_of,
        policy=Policy(
            commit_entries=settings.flush_entries, commit_seconds=settings.flush_seconds,
            stores_beside=not settings.paced,
        ),
    )  # fmt: skip
    handlers.changed = taking.changed = lambda: consumer.reopen() if source.is_outdated else None
    taking.post = late.post = consumer.post
    recovery = None
    if not settings.paced:
        recovery = SessionRecovery(
            sessions, active=active, taking=taking, bus=bus, end=handlers.end, post=consumer.post,
            has_failed=deciding.has_failed, timers=timers, registry=registry, look_seconds=settings.look_seconds,
        )  # fmt: skip
    component = StrategyComponent(consumer, desks, chains, late, timers=timers, poll_seconds=settings.poll_seconds)
    return WiredStrategy(component, recovery)
