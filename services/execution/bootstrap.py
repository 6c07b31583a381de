"""Wires execution once, at the top."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from prometheus_client import CollectorRegistry

from services.execution.accounts.accounts import Accounts, TradingAccount, account_key
from services.execution.accounts.governor import Governor
from services.execution.accounts.manager import AccountManager
from services.execution.accounts.pacing import SenderMetrics
from services.execution.accounts.router import OrderRouter
from services.execution.accounts.sender import Sender
from services.execution.accounts.senders import Senders
from services.execution.books import Books, books_of
from services.execution.books.ports import CONSUMER
from services.execution.handlers import INTENTS_STREAM, TICKS_STREAM, Commands, Execution, Intents
from services.execution.metrics import ExecutionMetrics
from services.execution.positions.settling import HandSettlement
from services.execution.positions.unanswered import UnansweredStops
from services.execution.recovery.aside import AsideApprovals
from services.execution.recovery.housekeeping import Housekeeping
from services.execution.recovery.quarantine import Quarantine
from services.execution.recovery.reconciler import Reconciler
from services.execution.recovery.recovery import Expect, TradeRecovery
from services.execution.recovery.untaken import Untaken
from services.execution.rehearsing.rehearsals import Rehearsals
from services.execution.service import ExecutionService
from services.execution.sessions import PAPER, ExecutionSessions
from services.execution.settings import ExecutionSettings
from services.execution.trades.commanded import CommandedExits
from services.execution.trades.commits import Commits, Terms
from services.execution.trades.instruments import Contracts
from services.execution.trades.keeper import Keeper
from services.execution.trades.openings import Openings
from services.execution.trades.pulse import Pulse
from services.execution.trades.sending import Sending
from services.execution.trades.square_off import LastLine
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.brokers.audit.log import LogOf
from tradebus.brokers.audit.spool import Spool
from tradebus.brokers.paper.gateway import PaperGateway, SettingsOf
from tradebus.brokers.paper.port import PaperBook
from tradebus.brokers.paper.postgres import PostgresPaperBook
from tradebus.brokers.ports import OrderGateway
from tradebus.brokers.registry import OpenBroker, open_broker
from tradebus.bus.port import Bus, Entry, Outgoing, Subscription
from tradebus.bus.several import SeveralSubscriptions
from tradebus.contracts.orders import OrderRole
from tradebus.contracts.streams import COMMANDS, ORDERS
from tradebus.execution.governor.lanes import ask_of
from tradebus.execution.governor.limits import OrderLimit, limits_of
from tradebus.execution.roster import Roster
from tradebus.execution.step import Modify
from tradebus.execution.trade import Trade
from tradebus.kernel.clock import Clock
from tradebus.kernel.ids import IdSource
from tradebus.kernel.timers import Timers
from tradebus.runtime.auditing import AuditKeeper, audit_folder
from tradebus.runtime.consumer import Consumer, ConsumerMetrics, Handler, Policy
from tradebus.runtime.consuming.handling import Bury
from tradebus.runtime.market_time import MarketTime
from tradebus.runtime.merge import Gate, MergedInput
from tradebus.runtime.shell import Component
from tradebus.store.book import Book
from tradebus.store.books import audit_book, order_budget_book
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.trading.orders import OrderRequest

OpenPaper = Callable[[PaperBook, SettingsOf], PaperGateway]
GATES = (Gate(INTENTS_STREAM, 0, "event"), Gate(TICKS_STREAM, 1, "slice_start"))
_SWEEP_SECONDS = 5.0


async def build(
    settings: ExecutionSettings, *, bus: Bus, store: Store, clock: Clock, ids: IdSource,
    open_broker: OpenBroker = open_broker, open_paper: OpenPaper = PaperGateway, timers: Timers,
    registry: CollectorRegistry,
) -> Sequence[Component]:  # fmt: skip
    """Execution with the paper broker (`open_paper` makes it) and, per session, a broker's. Ids derive from their
    causes; those of requests in the audit have none, and are drawn from `ids`."""
    folder = audit_folder(settings.state_dir, settings.namespace)
    spool = Spool(folder, name=f"execution-{settings.instance}", clock=clock, ids=ids)
    service = assemble(
        settings, bus=bus, book=store, paper_book=PostgresPaperBook(store.pool), clock=clock, log_of=spool.of,
        open_broker=open_broker, open_paper=open_paper, timers=timers, registry=registry,
    )  # fmt: skip
    return [service, AuditKeeper(folder, audit_book(store), spool, timers=timers, registry=registry)]


def assemble(
    settings: ExecutionSettings, *, bus: Bus, book: Book, paper_book: PaperBook, clock: Clock, log_of: LogOf,
    open_broker: OpenBroker = open_broker, open_paper: OpenPaper = PaperGateway, timers: Timers,
    registry: CollectorRegistry,
) -> ExecutionService:  # fmt: skip
    """The service on any book and bus, with the paper broker on its own book."""
    sessions, books = ExecutionSessions(book), books_of(book, timers=timers)
    paper = open_paper(paper_book, sessions.paper_settings)
    accounts = Accounts(settings, books, open_broker, log_of=log_of, clock=clock, timers=timers)
    rehearsals = Rehearsals(settings, books, open_broker, log_of=log_of, clock=clock, timers=timers)
    router = OrderRouter(paper, accounts, sessions.spec, timers=timers, rehearsals=rehearsals)
    return wire(
        settings, bus=bus, books=books, clock=clock, sessions=sessions, gateway=router, paper=paper,
        accounts=accounts, timers=timers, registry=registry, expect=router.expect,
    )  # fmt: skip


async def _expect_nothing(request: OrderRequest, broker_order_id: str | None) -> None:
    """Where there are no broker's triggers."""


def wire(
    settings: ExecutionSettings, *, bus: Bus, books: Books, clock: Clock, sessions: ExecutionSessions,
    gateway: OrderGateway, paper: PaperGateway | None, accounts: Accounts | None = None, timers: Timers,
    registry: CollectorRegistry, expect: Expect = _expect_nothing,
) -> ExecutionService:  # fmt: skip
    """Execution in front of any order gateway: `paper` where it fills from market data, `accounts` where at brokers."""
    metrics, outbox = ExecutionMetrics(registry), Outbox(books.book, bus, timers=timers)
    passed_ns, clock_ns = _times(sessions, accounts)
    roster = Roster(f"execution-{settings.instance}")
    governor = _governor(settings, books.book, clock=clock, timers=timers, metrics=SenderMetrics(registry))
    commits = Commits(
        books, clock, roster=roster, follower=paper, metrics=metrics, traded=_traded(sessions, governor),
        terms=_terms(accounts), known=sessions.known,
    )  # fmt: skip
    pulse = Pulse(books, roster.owner, silent_seconds=settings.orphan_seconds, timers=timers)
    closed, quarantine = _closed(sessions, paced=settings.paced), Quarantine(timers, registry)
    sending = Sending(gateway, roster, pulse, closed=closed, passed_ns=passed_ns, clock_ns=clock_ns, timers=timers)
    keeper = Keeper(commits, sending, Contracts(books.instruments), quarantine=quarantine, publish=outbox.flush)
    senders = _senders(sessions, keeper, governor, timers=timers, connected=accounts is not None)
    recovery = TradeRecovery(keeper, sending, books.departures, follower=paper, passed_ns=passed_ns, expect=expect)
    why_not = _why_not_trail(sessions, governor)
    supervisor = TradeSupervisor(keeper, paper, passed_ns=passed_ns, clock_ns=clock_ns, why_not=why_not, timers=timers)

    def reconciler(account: TradingAccount) -> Reconciler:
        assert accounts is not None  # it is one of them
        return Reconciler(
            account, settings, books=books, keeper=keeper, recovery=recovery, outbox=outbox, clock=clock,
            market_ns=lambda: max(supervisor.now_ns, accounts.passed_ns()), spec_of=sessions.spec,
            is_killed=lambda: sessions.killed, why_closed=sessions.closed.why, metrics=metrics, timers=timers,
        )  # fmt: skip

    manager = AccountManager(accounts, sessions, reconciler, timers=timers) if accounts is not None else None
    market, turn = _market_time(settings, clock), asyncio.Lock()
    commanded = CommandedExits(keeper, supervisor, sessions, market, clock=clock, turn=turn, paced=settings.paced)
    housekeeping = Housekeeping(
        recovery, supervisor, sessions, UnansweredStops(keeper, pulse, clock_ns=clock_ns, timers=timers),
        manager=manager, commanded=commanded,
        last_line=LastLine(keeper, sessions, market, grace_seconds=settings.square_off_grace_seconds),
        orphan_seconds=settings.orphan_seconds, paced=settings.paced,
    )  # fmt: skip
    execution = Execution(
        keeper, supervisor, sessions, housekeeping, commanded, HandSettlement(keeper, supervisor, gateway, books.own),
        manager=manager, market=market, passed_ns=passed_ns, metrics=metrics, paced=settings.paced,
    )  # fmt: skip
    aside = AsideApprovals(books, stream=INTENTS_STREAM, clock=clock, publish=outbox.flush, metrics=metrics)
    consumers = _consumers(
        settings, execution, keeper, aside.bury, bus=bus, outbox=outbox, turn=turn, timers=timers,
        metrics=ConsumerMetrics(registry),
    )  # fmt: skip
    _chores(consumers[0] if settings.paced else consumers[1], settings, housekeeping, outbox)
    untaken = Untaken(
        books.ledger, bus=bus, stream=INTENTS_STREAM, take=execution.take, refuse=aside.refuse, post=consumers[0].post,
        timers=timers, metrics=metrics, look_seconds=settings.look_seconds,
    )  # fmt: skip
    return ExecutionService(
        consumers, execution=execution, turn=turn, bus=bus, keeper=keeper, sessions=sessions, supervisor=supervisor,
        market=market, housekeeping=housekeeping, senders=senders, pulse=pulse, manager=manager,
        timers=timers, untaken=None if settings.paced else untaken,
        beat_seconds=min(settings.housekeeping_seconds, 1.0),
    )  # fmt: skip


def _terms(accounts: Accounts | None) -> Terms:
    return accounts.terms if accounts is not None else lambda session_id, instrument, contract: contract


def _times(sessions: ExecutionSessions, accounts: Accounts | None) -> tuple[Callable[[str], int], Callable[[str], int]]:
    """By session: the event time that has certainly passed, and what its market's clock says; 0 where ticks alone tell,
    since no broker's market goes on without us."""

    def of(ask: Callable[[Accounts], int]) -> Callable[[str], int]:
        return lambda session_id: ask(accounts) if accounts is not None and sessions.is_at_broker(session_id) else 0

    return of(Accounts.passed_ns), of(Accounts.now_ns)


def _closed(sessions: ExecutionSessions, *, paced: bool) -> Callable[[str], bool]:
    """Whether no entry leaves for a session any more. Paced, risk alone says which there are, but for a KILL."""
    return lambda session_id: sessions.killed or (not paced and bool(sessions.closed.why(session_id)))


def _market_time(settings: ExecutionSettings, clock: Clock) -> MarketTime:
    market_clock, speed = settings.clock_of_market(clock)
    return MarketTime(market_clock, machine=clock, speed=speed)


def _chores(consumer: Consumer, settings: ExecutionSettings, housekeeping: Housekeeping, outbox: Outbox) -> None:
    """`consumer` is the one that reads ticks, so that no intent waits for the book's answers."""
    consumer.every(
        settings.housekeeping_seconds, housekeeping.keep_house, name="keep house", before=housekeeping.look
    )  # fmt: skip
    if not settings.paced:
        consumer.every(_SWEEP_SECONDS, outbox.sweep, name="sweep")


def _governor(
    settings: ExecutionSettings, book: Book, *, clock: Clock, timers: Timers, metrics: SenderMetrics
) -> Governor:
    """The brokers' limits hold in the market's time: a sandbox whose market runs faster counts faster. One that stands
    still, until somebody moves it by hand, is as any other."""
    _, speed = settings.clock_of_market(clock)
    speed = speed or 1.0

    def limits(account: str) -> Sequence[OrderLimit]:
        broker = account.partition(":")[0]
        scale = settings.order_limit_scale * speed if broker in settings.sandboxed else 1.0
        return [limit.scaled(scale) if scale != 1.0 else limit for limit in limits_of(broker)]

    budgets = order_budget_book(book, clock=clock)
    return Governor(budgets, limits, name=settings.instance, timers=timers, metrics=metrics)


def _traded(sessions: ExecutionSessions, governor: Governor) -> Callable[[Trade, int], None]:
    """The governor hears of fills at brokers."""

    def traded(trade: Trade, count: int) -> None:
        spec = sessions.known(trade.session_id)
        if spec is not None and spec.broker != PAPER:
            governor.traded(":".join(account_key(spec)), count)

    return traded


def _why_not_trail(sessions: ExecutionSessions, governor: Governor) -> Callable[[Trade], str]:
    """The governor knows what an account may still ask for; the paper broker takes everything."""

    def why_not(trade: Trade) -> str:
        spec, stop = sessions.known(trade.session_id), trade.live(OrderRole.STOP)
        if spec is None or spec.broker == PAPER or stop is None:
            return ""
        ask = ask_of(trade, Modify(stop.order_id, 0, stop.quantity, stop.trigger_paise or 0, trails=True))
        return governor.why_not_trail(":".join(account_key(spec)), ask, changes=stop.moves)

    return why_not


def _senders(
    sessions: ExecutionSessions, keeper: Keeper, governor: Governor, *, timers: Timers, connected: bool
) -> Senders:
    make = partial(
        Sender, delivery=keeper, roster=keeper.roster, pacing=governor, timers=timers, metrics=governor.metrics
    )  # fmt: skip
    senders = Senders(sessions, make, timers=timers)
    if connected:
        keeper.connect(senders)
    return senders


def _consumers(
    settings: ExecutionSettings, execution: Execution, keeper: Keeper, bury: Bury, *, bus: Bus, outbox: Outbox,
    turn: asyncio.Lock, timers: Timers, metrics: ConsumerMetrics,
) -> list[Consumer]:  # fmt: skip
    """Intents are shared by all instances; every instance sees all ticks and commands."""
    name = f"{CONSUMER}-{settings.instance}"

    async def shared() -> Subscription:
        return await bus.subscribe([INTENTS_STREAM], group=CONSUMER, consumer=name)

    async def own(*streams: str) -> Subscription:
        return await bus.subscribe(list(streams), group=name, consumer=name)

    async def merged() -> MergedInput:
        intents, others = await shared(), await own(TICKS_STREAM, COMMANDS.name)
        several = SeveralSubscriptions(
            {INTENTS_STREAM: intents, TICKS_STREAM: others, COMMANDS.name: others}, timers=timers
        )
        return MergedInput(several, bus=bus, gates=GATES, paced=True)

    async def free(open_subscription: Callable[[], Awaitable[Subscription]]) -> MergedInput:
        return MergedInput(await open_subscription(), bus=bus, gates=GATES, paced=False)

    def consumer(
        label: str, open_input: Callable[[], Awaitable[MergedInput]], *, turn: asyncio.Lock | None,
        handler: Handler = execution, claim_idle_seconds: float | None = None, commit_seconds: float = 1.0,
    ) -> Consumer:  # fmt: skip
        # What is HELD is stored at the end of each batch where others wait for it, and now and then where nobody does.
        policy = Policy(
            lives_max=settings.lives_max, claim_idle_seconds=claim_idle_seconds, commit_seconds=commit_seconds
        )
        return Consumer(
            label, open_input=open_input, handler=handler, publisher=outbox, timers=timers, metrics=metrics,
            paced=settings.paced, owed=_owed if settings.paced else None, policy=policy, turn=turn,
            bury=bury,
        )  # fmt: skip

    if settings.paced:
        return [consumer("execution", merged, turn=turn)]
    intents = Intents(execution, Openings(keeper))
    taking = consumer(
        "execution intents", partial(free, shared), turn=turn, handler=intents,
        claim_idle_seconds=settings.orphan_seconds, commit_seconds=0.0,
    )  # fmt: skip
    intents.post = taking.post
    return [
        taking,
        consumer("execution ticks", partial(free, partial(own, TICKS_STREAM)), turn=turn),
        consumer(
            "execution commands", partial(free, partial(own, COMMANDS.name)), turn=None, handler=Commands(execution)
        ),
    ]


def _owed(entry: Entry) -> Sequence[Outgoing]:
    """Others wait for the watermark of what was handled."""
    if entry.watermark_ns is None:
        return ()
    return [Outgoing(ORDERS.name, "watermark", watermark_ns=entry.watermark_ns)]
