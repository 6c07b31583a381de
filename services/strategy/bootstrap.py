"""Puts the strategy service together from what it is given."""

from collections.abc import Sequence

from services.strategy.adapters.history import History
from services.strategy.adapters.journal import Journal
from services.strategy.adapters.sessions import Sessions
from services.strategy.adapters.tick_stream import TickStream
from services.strategy.component import GROUP, FlushLimits, StrategyComponent
from services.strategy.handlers import Handlers
from services.strategy.settings import Settings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component
from tradebus.store.store import Store

# Not the instance's name: the state is one, so is its reader, and whoever starts next finds what was left.
CONSUMER = "strategy"


async def build(settings: Settings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource) -> Sequence[Component]:
    """The one component, with the sessions it had taken up again and its input open.

    `ids` is not used: every id here derives from what caused it.
    """
    ticks = TickStream(bus, group=GROUP, consumer=CONSUMER)
    handlers = Handlers(
        sessions=Sessions(store), history=History(store), ticks=ticks, clock=clock, paced=settings.paced
    )
    component = StrategyComponent(
        bus=bus,
        journal=Journal(store),
        handlers=handlers,
        ticks=ticks,
        consumer=CONSUMER,
        paced=settings.paced,
        limits=FlushLimits(entries=settings.flush_entries, seconds=settings.flush_seconds),
    )
    await component.start()
    return [component]
