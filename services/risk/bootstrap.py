"""Wires risk once, at the top."""

from collections.abc import Sequence

from services.risk.book import Book
from services.risk.consumer import RiskConsumer
from services.risk.handlers import Risk
from services.risk.kill_switch import KillSwitch
from services.risk.settings import RiskSettings
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store


async def build(settings: RiskSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource) -> Sequence[Component]:
    """The consumer that decides and the watch on the kill switch."""
    kill_switch = KillSwitch(store, state_dir=settings.state_dir, poll_seconds=settings.kill_poll_seconds)
    book = Book(settings, store=store, clock=clock)
    risk = Risk(bus=bus, store=store, book=book, kill_switch=kill_switch, paced=settings.paced)
    consumer = RiskConsumer(
        risk,
        bus=bus,
        outbox=Outbox(store, bus),
        clock=clock,
        ids=ids,
        paced=settings.paced,
        attempts_max=settings.attempts_max,
    )
    return [consumer, kill_switch]
