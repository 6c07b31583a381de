"""What a reconciliation came to, for a person: RECONCILED, RECONCILE_MISMATCH, and whether positions may be opened."""

from collections.abc import Callable, Sequence

import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.accounts.blocks import AccountBlocks
from services.execution.metrics import ExecutionMetrics
from tradebus.brokers.account import SessionState
from tradebus.contracts.base import Message, event_id_for
from tradebus.contracts.orders import Difference, Reconciled, ReconcileMismatch
from tradebus.contracts.streams import ORDERS
from tradebus.kernel.clock import Clock
from tradebus.store.book import Book
from tradebus.store.outbox import Outbox

_log = structlog.get_logger()


class Telling:
    """One per account. The same is told once."""

    def __init__(
        self, account: TradingAccount, blocks: AccountBlocks, *, book: Book, outbox: Outbox, clock: Clock,
        market_ns: Callable[[], int], metrics: ExecutionMetrics,
    ) -> None:  # fmt: skip
        self._account, self._blocks, self._book, self._outbox, self._metrics = account, blocks, book, outbox, metrics
        self._clock, self._market_ns = clock, market_ns
        self._agreed = False  # with the broker, since the start or the last dispute
        self._told: tuple[Difference, ...] = ()
        self._settled: list[Difference] = []  # and not told yet

    def settled(self, found: Sequence[Difference]) -> None:
        """Told with the next agreement."""
        self._settled += found

    async def tell(
        self, checked: int, disputed: Sequence[Difference], *, open_questions: int, is_known: bool
    ) -> None:  # fmt: skip
        """A look is over: `checked` orders, what nobody can explain, and what the next look decides about. Where not
        every position `is_known`, that nothing is disputed frees no account that was blocked."""
        account = self._account
        self._metrics.disputes.labels(account.name).set(len(disputed))
        self._metrics.reconciled.labels(account.name, "disputed" if disputed else "agreed").inc()
        if disputed:
            await self._dispute("reconcile_mismatch", disputed)
        elif not open_questions and (is_known or not account.blocked):
            account.blocked = ""
            if not self._agreed or self._settled:
                self._agreed, self._told = True, ()
                settled, self._settled = tuple(self._settled), []
                await self._emit(Reconciled, orders_checked=checked, differences=settled)

    async def unread(self, seconds: float, *, lost: bool) -> bool:
        """The books could not be read; `lost` where they could not for `seconds`, which is too long. Where the login
        has ended that is said at once: nothing but a person mends it. Whether the broker itself is lost."""
        account = self._account
        self._metrics.reconciled.labels(account.name, "unread").inc()
        _log.warning("the order book cannot be read", account=account.name)
        if await account.broker.session.check() is SessionState.EXPIRED:
            broker, login = account.key
            ended = Difference(
                what="login", ours="needed", brokers="ended",
                action=f"`tradebus login --broker {broker} --credential {login}`; until then no position is opened, "
                "what is open keeps its stop at the broker and cannot be closed from here",
            )  # fmt: skip
            self._metrics.disputes.labels(account.name).set(1)
            await self._dispute("login_ended", [ended])
            return False
        if lost:
            missing = Difference(
                what="order book", ours="needed", brokers=f"unread for {seconds:g} s",
                action="look whether the login has ended; no position is opened until the book is read, and what is "
                "held is left then",
            )  # fmt: skip
            await self._dispute("broker_lost", [missing])
        return lost

    async def warn(self, differences: Sequence[Difference]) -> bool:
        """A person must do something before long; positions are opened meanwhile. Whether there is a session that is
        told."""
        await self._emit(ReconcileMismatch, differences=tuple(differences))
        return bool(self._account.sessions)

    async def _dispute(self, reason: str, disputed: Sequence[Difference]) -> None:
        self._account.blocked = reason
        await self._blocks.keep()  # before anybody hears of it
        if tuple(disputed) != self._told:
            self._told, self._agreed = tuple(disputed), False
            _log.error("book and broker disagree", account=self._account.name, differences=len(disputed))
            await self._emit(ReconcileMismatch, differences=tuple(disputed))

    async def _emit(self, model: type[Message], **fields: object) -> None:
        at_ns, now_ns = self._market_ns(), self._clock.now_ns()
        async with self._book.begin() as tx:
            for session_id, spec in self._account.sessions.items():
                event_id = event_id_for(model.TYPE, at_ns, session_id, now_ns)
                envelope = {
                    "event_id": event_id, "ts_event_ns": at_ns, "ts_recorded_ns": now_ns, "source": "execution",
                    "trace_id": event_id, "user_id": spec.user_id, "session_id": session_id,
                }  # fmt: skip
                tx.emit(ORDERS.name, model.model_validate({**envelope, **fields}))
        await self._outbox.flush()
