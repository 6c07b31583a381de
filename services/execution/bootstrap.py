"""Wires execution once, at the top."""

from collections.abc import Callable, Sequence

from services.execution.accounts.accounts import Accounts
from services.execution.accounts.desk import Desk
from services.execution.accounts.router import OrderRouter
from services.execution.handlers import Execution
from services.execution.recovery.reconciler import Reconciler
from services.execution.recovery.recovery import Recovery
from services.execution.sessions import Sessions
from services.execution.settings import ExecutionSettings
from services.execution.trades.commits import Commits
from services.execution.trades.instruments import Contracts
from services.execution.trades.keeper import Keeper
from services.execution.trades.pulse import Pulse
from services.execution.trades.sending import Sending
from services.execution.trades.supervisor import Supervisor
from tradebus.brokers.paper.gateway import PaperGateway, SettingsOf
from tradebus.brokers.paper.port import PaperBook
from tradebus.brokers.paper.postgres import PostgresPaperBook
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.port import Bus
from tradebus.execution.roster import Roster
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.runtime.shell import Component
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store

OpenPaper = Callable[[PaperBook, SettingsOf], PaperGateway]


async def build(
    settings: ExecutionSettings,
    *,
    bus: Bus,
    store: Store,
    clock: Clock,
    ids: IdSource,
    open_broker: OpenBroker = open_broker,
    open_paper: OpenPaper = PaperGateway,
    **_: object,
) -> Sequence[Component]:
    """Execution with the paper broker (`open_paper` makes it) and, per session, a broker's. Ids derive from their
    causes, so `ids` is not needed here."""
    sessions = Sessions(store)
    paper = open_paper(PostgresPaperBook(store.pool), sessions.paper_settings)
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

    roster = Roster(f"execution-{settings.instance}")
    commits = Commits(store, clock, roster=roster, follower=paper)
    pulse = Pulse(commits.ledger, roster.owner, silent_seconds=settings.orphan_seconds)
    sending = Sending(gateway, roster, pulse)
    keeper = Keeper(commits, sending, Contracts(store.pool))
    recovery = Recovery(keeper, sending, follower=paper, passed_ns=passed_ns)
    supervisor = Supervisor(keeper, paper, passed_ns=passed_ns)
    outbox = Outbox(store, bus)
    desk: Desk | None = None
    if accounts is not None:
        desk = Desk(
            accounts,
            sessions,
            lambda account: Reconciler(
                account, settings, store=store, keeper=keeper, recovery=recovery, outbox=outbox, clock=clock,
                market_ns=lambda: max(supervisor.now_ns, accounts.passed_ns()), spec_of=sessions.spec,
            ),
        )  # fmt: skip
    return Execution(
        settings,
        bus=bus,
        store=store,
        keeper=keeper,
        recovery=recovery,
        pulse=pulse,
        supervisor=supervisor,
        sessions=sessions,
        outbox=outbox,
        passed_ns=passed_ns,
        desk=desk,
    )
