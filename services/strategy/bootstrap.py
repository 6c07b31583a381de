"""Puts the strategy service together from what it is given."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry

from services.strategy.adapters.history import History
from services.strategy.adapters.journal import Journal
from services.strategy.adapters.publisher import ServersPublisher
from services.strategy.adapters.sessions import Sessions
from services.strategy.adapters.tick_stream import TickStream
from services.strategy.component import StrategyComponent
from services.strategy.deciding import Deciding
from services.strategy.desks import Desks
from services.strategy.handlers import Handlers
from services.strategy.settings import Settings
from services.strategy.streams import CONSUMER, GROUP, StrategyInput, watermark_of
from services.strategy.taking import Taking
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.consumer import Consumer, ConsumerMetrics, Policy
from tradebus.runtime.shell import Component
from tradebus.runtime.timers import WallTimers
from tradebus.store.store import Store
from tradebus.strategies.lane.positions import PositionBook
from tradebus.strategies.lane.sessions import ActiveSessions
from tradebus.strategies.lane.shared import SharedLane


async def build(
    settings: Settings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource, timers: Timers | None = None,
    registry: CollectorRegistry | None = None,
) -> Sequence[Component]:  # fmt: skip
    """The one component, with the sessions it had taken up again and its input open.

    `ids` is not used: every id here derives from what caused it.
    """
    timers, active = timers or WallTimers(clock), ActiveSessions()
    ticks = TickStream(bus, group=GROUP, consumer=CONSUMER)
    lane = SharedLane()
    desks = Desks(limits=settings.isolation, timers=timers, lane=lane)
    book = PositionBook()
    deciding = Deciding(
        active, history=History(store), desks=desks, lane=lane, book=book, conflicts=settings.conflicts,
        paced=settings.paced,
    )  # fmt: skip
    sessions = Sessions(store)
    taking = Taking(
        active, sessions=sessions, book=book, desks=desks, ticks=ticks, clock=clock, paced=settings.paced
    )  # fmt: skip
    handlers = Handlers(
        bus=bus, sessions=sessions, journal=Journal(store), desks=desks, active=active, book=book, taking=taking,
        deciding=deciding, clock=clock,
    )  # fmt: skip
    source = StrategyInput(bus, active, ticks=ticks, paced=settings.paced)
    consumer = Consumer(
        "strategy", open_input=source.open, handler=handlers, publisher=ServersPublisher(bus, store), timers=timers,
        metrics=ConsumerMetrics(registry or CollectorRegistry()), paced=settings.paced, owed=watermark_of,
        policy=Policy(commit_entries=settings.flush_entries, commit_seconds=settings.flush_seconds),
    )  # fmt: skip
    handlers.changed = taking.changed = lambda: consumer.reopen() if source.is_outdated else None
    taking.post = consumer.post
    component = StrategyComponent(consumer, desks)
    await component.start()
    return [component]
