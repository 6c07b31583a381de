"""Wires execution once, at the top."""

from collections.abc import Sequence

from services.execution.adapters.instruments import InstrumentKinds
from services.execution.handlers import Execution
from services.execution.keeper import Keeper
from services.execution.sessions import Sessions
from services.execution.settings import ExecutionSettings
from services.execution.supervisor import Supervisor
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.brokers.ports import OrderGateway
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component
from tradebus.store.store import Store


async def build(
    settings: ExecutionSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource
) -> Sequence[Component]:
    """Execution with the paper broker. Ids derive from their causes, so `ids` is not needed here."""
    sessions = Sessions(store)
    paper = PaperGateway(store.pool, sessions.paper_settings)
    return [wire(settings, bus=bus, store=store, clock=clock, sessions=sessions, gateway=paper, paper=paper)]


def wire(
    settings: ExecutionSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    sessions: Sessions,
    gateway: OrderGateway,
    paper: PaperGateway | None,
) -> Execution:
    """Execution in front of any order gateway. `paper` is given where that gateway fills from market data."""
    keeper = Keeper(
        store,
        gateway,
        clock,
        owner=f"execution-{settings.instance}",
        kinds=InstrumentKinds(store.pool),
        follower=paper,
    )
    supervisor = Supervisor(keeper, paper)
    return Execution(settings, bus=bus, store=store, keeper=keeper, supervisor=supervisor, sessions=sessions)
