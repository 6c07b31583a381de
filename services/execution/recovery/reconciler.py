"""Follows one account: what its order stream says, and every few seconds what its books say.

    order stream ─► report          (re)connected, or five seconds ─► order book, positions ─► judge ─┬─ hear, realign
                                                                                                     └─ dispute

The stream is a hint, the book is the truth. A difference that hearing settles is told with RECONCILED; one that stays
is RECONCILE_MISMATCH, and no position is opened in the account until it is gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import asyncpg
import structlog

from services.execution.accounts.accounts import Account, account_key
from services.execution.metrics import ExecutionMetrics
from services.execution.recovery.book import OwnBook
from services.execution.recovery.recovery import Recovery
from services.execution.settings import ExecutionSettings
from services.execution.trades.keeper import Keeper
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.feed import FeedEvent, FeedEventKind
from tradebus.contracts.base import Message, event_id_for
from tradebus.contracts.orders import Difference, Reconciled, ReconcileMismatch
from tradebus.contracts.sessions import SessionSpec
from tradebus.contracts.streams import ORDERS
from tradebus.execution import decisions
from tradebus.execution.reconciliation import (
    Finding,
    OwnOrder,
    difference,
    disputed_positions,
    judge,
    lines_by_tag,
    net_of,
    strangers,
)
from tradebus.kernel.clock import Clock
from tradebus.kernel.errors import InvalidInput, TradebusError
from tradebus.kernel.timers import Timers
from tradebus.store.outbox import Outbox
from tradebus.store.store import Store
from tradebus.trading.orders import BrokerOrder, BrokerStatus
from tradebus.trading.states import OrderState

_TRANSIENT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TradebusError, TimeoutError)
_HIT_PATIENCE = 3  # ten seconds and more; right after a change a stop may be called open while it waits
_PATIENCE = 2  # reconciliations in a row before a difference that may be under way counts
_INTRADAY = frozenset({"MIS", "INTRADAY", "I"})
_AGAIN_SECONDS = 1.0
_log = structlog.get_logger()


class Reconciler:
    """One per account. `market_ns` gives the event time."""

    def __init__(
        self, account: Account, settings: ExecutionSettings, *, store: Store, keeper: Keeper, recovery: Recovery,
        outbox: Outbox, clock: Clock, market_ns: Callable[[], int], spec_of: Callable[[str], Awaitable[SessionSpec]],
        metrics: ExecutionMetrics, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._keeper, self._recovery, self._outbox = account, keeper, recovery, outbox
        self._store, self._clock, self._market_ns, self._spec_of = store, clock, market_ns, spec_of
        self._metrics, self._timers = metrics, timers
        self._book = OwnBook(store.pool)
        self._every_seconds, self._lost_ns = settings.reconcile_seconds, int(settings.broker_lost_seconds * 1e9)
        self._due = asyncio.Event()
        self._agreed = False  # with the broker, since the start or the last dispute
        self._told: tuple[Difference, ...] = ()
        self._settled: list[Difference] = []  # and not told yet
        self._seen: dict[str, int] = {}  # how often in a row a difference was there
        self._now: set[str] = set()  # those of the reconciliation under way
        self._open_questions = 0  # differences that the next look decides about
        self._noted: set[str] = set()  # others' orders that were mentioned
        self._read_ns = self._timers.monotonic_ns()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. What Postgres or the broker will not give now is asked for again."""
        hearing = asyncio.create_task(self._listen())
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                self._due.clear()
                try:
                    await self.reconcile()
                except _TRANSIENT as error:
                    _log.warning("reconciliation failed, trying again", account=self._account.name, error=str(error))
                except Exception as error:  # noqa: BLE001 - whatever one account does, the others go on
                    self._account.blocked = "reconcile_failed"
                    _log.error("reconciliation failed", account=self._account.name, exc_info=error)
                due = asyncio.create_task(self._due.wait())
                await asyncio.wait(
                    (due, stopping, hearing), timeout=self._every_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                due.cancel()
                if hearing.done():
                    hearing.result()
        finally:
            for task in (hearing, stopping):
                task.cancel()
            await asyncio.gather(hearing, stopping, return_exceptions=True)

    async def hear(self, order: BrokerOrder) -> None:
        """One word of the order stream. What it leaves out is looked up."""
        if not order.tag:
            tag = await self._book.tag_of(order.broker_order_id, list(self._account.sessions))
            order = replace(order, tag=tag or "")
        found = await self._book.orders([order.tag], []) if order.tag else []
        if not found or not self._keeper.roster.is_owner(found[0].owner):
            return  # somebody else's, or another instance hears it too
        if not await self._is_of_account(found[0].session_id):
            _log.error("another account's tag", account=self._account.name, broker_order_id=order.broker_order_id)
            return
        told = sum(fill.quantity for fill in order.fills)
        if order.status is BrokerStatus.UNKNOWN or told < order.filled_quantity:
            lookup = await self._account.gateway.find_by_tag(found[0].session_id, order.tag)
            order = lookup.order or order
        if judge(found[0], order) is Finding.HEAR:
            await self._keeper.report(order)
            await self._outbox.flush()

    async def reconcile(self) -> None:
        """Reads the broker's books once and settles what can be settled. Raises what Postgres and the bus raise."""
        account = self._account
        for session_id in await self._book.ended(list(account.sessions)):
            account.sessions.pop(session_id, None)
        if not account.sessions:
            return
        book = await account.gateway.order_book(next(iter(account.sessions)))
        if book is None:
            await self._unread()
            return
        self._read_ns = self._timers.monotonic_ns()
        self._open_questions = 0
        self._settled += await self._settle_orders(book)
        ours = await self._own(book)
        disputed = self._still_disputed(book, ours)
        marked, others = strangers(book, [order.tag for order in ours])
        disputed += self._persisting(marked) + await self._positions(book, ours)
        self._forget_settled()
        notes = [note for note in others if note.what not in self._noted]
        self._noted |= {note.what for note in others}
        self._settled += notes
        await self._tell(len(ours), disputed)

    async def _listen(self) -> None:
        while True:
            updates = self._account.broker.updates(self._account.listed.known)
            try:
                async for item in updates.updates():
                    if isinstance(item, FeedEvent):
                        self._connection(item)
                    else:
                        await self.hear(item)
            except _TRANSIENT as error:
                _log.warning("order stream", account=self._account.name, error=str(error))
                self._due.set()  # what was not handled is in the book
            except Exception as error:  # noqa: BLE001 - whatever one account says, the others go on
                _log.error("order stream", account=self._account.name, exc_info=error)
                self._due.set()
            finally:
                await updates.close()
            await asyncio.sleep(_AGAIN_SECONDS)

    def _connection(self, event: FeedEvent) -> None:
        if event.kind is FeedEventKind.CONNECTED:
            self._due.set()
        level = _log.info if event.kind is FeedEventKind.CONNECTED else _log.warning
        level("order stream", account=self._account.name, kind=event.kind.value, text=event.text)

    async def _is_of_account(self, session_id: str) -> bool:
        """Whether that session's orders are in this account's book: a tag alone does not say so."""
        if session_id in self._account.sessions:
            return True
        try:
            return account_key(await self._spec_of(session_id)) == self._account.key
        except InvalidInput:
            return False

    async def _settle_orders(self, book: Sequence[BrokerOrder]) -> list[Difference]:
        """Hears what the broker knows more of, and says again what it should know. Returns what was settled."""
        own = await self._own(book)
        by_tag, _ = lines_by_tag(own, book)
        settled = []
        for ours in own:
            if not self._keeper.roster.is_owner(ours.owner):
                continue
            theirs = by_tag.get(ours.tag)
            if theirs is None:
                await self._look_up_missing(ours)
                continue
            finding = judge(ours, theirs)
            if finding is Finding.HEAR:
                await self._keeper.report(theirs)
                settled.append(difference(ours, theirs, action="taken over"))
            elif finding is Finding.CANCEL and self._count(f"cancel {ours.tag}") >= _PATIENCE:
                await self._keeper.attempt(ours.pos_id, decisions.cancel_again(ours.order_id, self._market_ns()))
                settled.append(difference(ours, theirs, action="sent again"))
            elif finding is Finding.HIT and self._count(f"hit {ours.tag}") >= _HIT_PATIENCE:
                await self._keeper.attempt(
                    ours.pos_id, decisions.exit_at(reason="stop_not_filled", at_ns=self._market_ns())
                )
                settled.append(difference(ours, theirs, action="cancelled, to be sold at the market"))
            elif finding is Finding.REALIGN and self._count(f"realign {ours.tag}") >= _PATIENCE:
                at_ns = self._market_ns()
                await self._keeper.attempt(
                    ours.pos_id,
                    decisions.realign(
                        ours.order_id, at_ns, quantity=theirs.quantity, trigger_paise=theirs.trigger_paise
                    ),
                )
                settled.append(difference(ours, theirs, action="sent again"))
        await self._outbox.flush()
        return settled

    async def _look_up_missing(self, ours: OwnOrder) -> None:
        """Live with us, accepted by the broker once, and not in its book: only a look-up by tag may say it is gone."""
        known = ours.broker_order_id is not None and not ours.ended
        if known and self._count(f"missing {ours.tag}") >= _PATIENCE:
            await self._recovery.resolve(ours.pos_id, ours.order_id, now_ns=self._market_ns())

    def _still_disputed(self, book: Sequence[BrokerOrder], ours: Sequence[OwnOrder]) -> list[Difference]:
        by_tag, twins = lines_by_tag(ours, book)
        found = [
            difference(own, by_tag[own.tag], action="look at it")
            for own in ours
            if own.tag in by_tag and judge(own, by_tag[own.tag]) is Finding.DISPUTED
        ]
        return self._persisting([*found, *twins])

    async def _positions(self, book: Sequence[BrokerOrder], ours: Sequence[OwnOrder]) -> list[Difference]:
        """Only where nothing is under way: positions and orders are read one after the other."""
        if any(own.state in (OrderState.PENDING, OrderState.UNKNOWN) for own in ours):
            return []
        try:
            rows = await self._account.broker.account.positions()
        except BrokerError as error:
            _log.warning("positions cannot be read", account=self._account.name, error=str(error))
            return []
        known = self._account.listed.known
        brokers: dict[int, int] = {}
        for row in rows:
            instrument = known.instrument_of(row.broker_segment, row.token)
            if instrument is not None and row.product.upper() in _INTRADAY:
                brokers[instrument] = brokers.get(instrument, 0) + row.quantity
        tags = {own.tag for own in ours}
        others = net_of([order for order in book if order.tag not in tags])
        symbols: Mapping[int, str] = {instrument: row.symbol for instrument, row in known.listings()}
        held = await self._book.net(list(self._account.sessions))
        return self._persisting(disputed_positions(ours=held, others=others, brokers=brokers, symbols=symbols))

    async def _own(self, book: Sequence[BrokerOrder]) -> list[OwnOrder]:
        found = await self._book.orders([order.tag for order in book if order.tag], list(self._account.sessions))
        return [own for own in found if await self._is_of_account(own.session_id)]

    async def _tell(self, checked: int, disputed: list[Difference]) -> None:
        account = self._account
        self._metrics.disputes.labels(account.name).set(len(disputed))
        self._metrics.reconciled.labels(account.name, "disputed" if disputed else "agreed").inc()
        if disputed:
            account.blocked = "reconcile_mismatch"
            if tuple(disputed) != self._told:
                self._told, self._agreed = tuple(disputed), False
                _log.error("book and broker disagree", account=account.name, differences=len(disputed))
                await self._emit(ReconcileMismatch, differences=tuple(disputed))
            return
        if self._open_questions:
            return
        account.blocked = ""
        if not self._agreed or self._settled:
            self._agreed, self._told = True, ()
            settled, self._settled = tuple(self._settled), []
            await self._emit(Reconciled, orders_checked=checked, differences=settled)

    async def _emit(self, model: type[Message], **fields: object) -> None:
        at_ns, now_ns = self._market_ns(), self._clock.now_ns()
        async with self._store.begin() as tx:
            for session_id, spec in self._account.sessions.items():
                event_id = event_id_for(model.TYPE, at_ns, session_id, now_ns)
                envelope = {
                    "event_id": event_id, "ts_event_ns": at_ns, "ts_recorded_ns": now_ns, "source": "execution",
                    "trace_id": event_id, "user_id": spec.user_id, "session_id": session_id,
                }  # fmt: skip
                tx.emit(ORDERS.name, model.model_validate({**envelope, **fields}))
        await self._outbox.flush()

    async def _unread(self) -> None:
        self._metrics.reconciled.labels(self._account.name, "unread").inc()
        _log.warning("the order book cannot be read", account=self._account.name)
        if self._timers.monotonic_ns() - self._read_ns < self._lost_ns:
            return
        self._account.blocked = "broker_lost"
        lost = Difference(
            what="order book", ours="needed", brokers=f"unread for {self._lost_ns / 1e9:g} s",
            action="look whether the login has ended; no position is opened until the book is read",
        )  # fmt: skip
        if self._told != (lost,):
            self._told, self._agreed = (lost,), False
            await self._emit(ReconcileMismatch, differences=(lost,))

    def _count(self, what: str) -> int:
        self._seen[what] = self._seen.get(what, 0) + 1
        self._now.add(what)
        return self._seen[what]

    def _persisting(self, found: Sequence[Difference]) -> list[Difference]:
        """Those that were there the last time too; the others leave open whether book and broker agree."""
        lasting = [one for one in found if self._count(f"{one.what} {one.ours} {one.brokers}") >= _PATIENCE]
        self._open_questions += len(found) - len(lasting)
        return lasting

    def _forget_settled(self) -> None:
        self._seen = {what: times for what, times in self._seen.items() if what in self._now}
        self._now = set()
