"""Wires execution once, at the top."""

from collections.abc import Sequence

from services.execution.accounts import Accounts
from services.execution.adapters.instruments import InstrumentKinds
from services.execution.desk import Desk
from services.execution.handlers import Execution
from services.execution.keeper import Keeper
from services.execution.reconciler import Reconciler
from services.execution.router import OrderRouter
from services.execution.sessions import Sessions
from services.execution.settings import ExecutionSettings
from services.execution.supervisor import Supervisor
from tradebus.brokers.paper.gateway import PaperGateway
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.port import Bus
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store


async def build(
    settings: ExecutionSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    ids: IdSource,
    open_broker: OpenBroker = open_broker,
) -> Sequence[Component]:
    """Execution with the paper broker and, per session, a broker's. Ids derive from their causes, so `ids` is not
    needed here."""
    sessions = Sessions(store)
    paper = PaperGateway(store.pool, sessions.paper_settings)
    accounts = Accounts(settings, store, open_broker, clock=clock)
    router = OrderRouter(paper, accounts, sessions.spec)
    return [
        wire(
            settings,
            bus=bus,
            store=store,
            clock=clock,
            sessions=sessions,
            gateway=router,
            paper=paper,
            accounts=accounts,
        )
    ]


def wire(
    settings: ExecutionSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    sessions: Sessions,
    gateway: OrderGateway,
    paper: PaperGateway | None,
    accounts: Accounts | None = None,
) -> Execution:
    """Execution in front of any order gateway. `paper` is given where that gateway fills from market data, `accounts`
    where it reaches brokers."""

    def passed_ns(session_id: str) -> int:
        return accounts.passed_ns() if accounts is not None and sessions.is_at_broker(session_id) else 0

    keeper = Keeper(
        store,
        gateway,
        clock,
        owner=f"execution-{settings.instance}",
        kinds=InstrumentKinds(store.pool),
        follower=paper,
        passed_ns=passed_ns,
        silent_seconds=settings.orphan_seconds,
    )
    supervisor = Supervisor(keeper, paper)
    outbox = Outbox(store, bus)
    desk: Desk | None = None
    if accounts is not None:
        desk = Desk(
            accounts,
            sessions,
            lambda account: Reconciler(
                account, settings, store=store, keeper=keeper, outbox=outbox, clock=clock,
                market_ns=lambda: max(supervisor.now_ns, accounts.passed_ns()),
            ),
        )  # fmt: skip
    return Execution(
        settings,
        bus=bus,
        store=store,
        keeper=keeper,
        supervisor=supervisor,
        sessions=sessions,
        outbox=outbox,
        desk=desk,
    )
