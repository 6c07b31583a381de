"""What an account's order stream says: reported where it tells more than the book knows. It is a hint; what it leaves
out is looked up, and what it lost is found by the next reconciliation.

Invariants (tested): nothing a stream does, in opening, speaking or closing, ends more than that stream; the words about
one order are heard in their order, and a look-up for one holds up no other's.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import structlog

from services.execution.accounts.accounts import TradingAccount
from services.execution.books.ports import OwnBook
from services.execution.positions.quick_looks import StreamWord
from services.execution.recovery.own_orders import OwnOrders
from services.execution.trades.keeper import Keeper
from tradebus.brokers.feed import FeedEvent, FeedEventKind, OrderUpdates
from tradebus.execution.reconciliation import ReconcileFinding, judge
from tradebus.kernel.errors import TradebusError
from tradebus.kernel.timers import Timers
from tradebus.store.outbox import Outbox
from tradebus.trading.orders import BrokerOrder, BrokerStatus
from tradebus.waiting.timers import deadline, sleep

TRANSIENT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TradebusError, TimeoutError)
_AGAIN_SECONDS = 1.0
_CLOSING_SECONDS = 5.0
_HEARD_AT_ONCE = 64  # orders; of what is said beyond, the book tells
_log = structlog.get_logger()


class Listening:
    """One per account. `missed` is called whenever something may have been said that was not heard."""

    def __init__(
        self, account: TradingAccount, own: OwnOrders, *, book: OwnBook, keeper: Keeper, outbox: Outbox,
        missed: Callable[[], None], stream: StreamWord, timers: Timers,
    ) -> None:  # fmt: skip
        self._account, self._own, self._book = account, own, book
        self._keeper, self._outbox, self._missed, self._timers = keeper, outbox, missed, timers
        self._stream = stream
        self._words: dict[str, deque[BrokerOrder]] = {}  # not heard yet, by the broker's number of the order
        self._hearing: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await self._follow()
                await sleep(self._timers, _AGAIN_SECONDS)
        finally:
            hearing = list(self._hearing)
            for task in hearing:
                task.cancel()
            await asyncio.gather(*hearing, return_exceptions=True)

    async def _follow(self) -> None:
        """One stream, to its end."""
        updates: OrderUpdates | None = None
        try:
            updates = self._account.broker.updates(self._account.listed.known)
            async for item in updates.updates():
                if isinstance(item, FeedEvent):
                    self._connection(item)
                else:
                    self._stream.spoke(item.broker_order_id)
                    self._take(item)
        except Exception as error:  # noqa: BLE001 - whatever one account does, the others go on
            self._not_heard(error)
        finally:
            self._stream.is_up = False
            if updates is not None:
                await self._end(updates)

    async def _end(self, updates: OrderUpdates) -> None:
        try:
            async with deadline(self._timers, _CLOSING_SECONDS):
                await updates.close()
        except Exception as error:  # noqa: BLE001 - as above
            _log.error("order stream not closed", account=self._account.name, exc_info=error)

    def _take(self, order: BrokerOrder) -> None:
        """Has it heard beside the stream, after what was said of the order before."""
        number = order.broker_order_id
        if number in self._words:
            self._words[number].append(order)
        elif len(self._words) >= _HEARD_AT_ONCE:
            self._missed()
        else:
            self._words[number] = deque([order])
            task = asyncio.create_task(self._hear_all(number))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)

    async def _hear_all(self, number: str) -> None:
        words = self._words[number]
        try:
            while words:
                try:
                    await self.hear(words.popleft())
                except Exception as error:  # noqa: BLE001 - whatever is said of one order, the others are heard
                    self._not_heard(error)
        finally:
            del self._words[number]

    def _not_heard(self, error: Exception) -> None:
        if isinstance(error, TRANSIENT):
            _log.warning("order stream", account=self._account.name, error=str(error))
        else:
            _log.error("order stream", account=self._account.name, exc_info=error)
        self._missed()  # what was not handled is in the book

    async def hear(self, order: BrokerOrder) -> None:
        """One word of the order stream. What it leaves out is looked up."""
        if not order.tag:
            tag = await self._book.tag_of(order.broker_order_id, list(self._account.sessions))
            order = replace(order, tag=tag or "")
        ours = await self._own.of_tag(order.tag) if order.tag else None
        if ours is None and order.filled_quantity:
            self._missed()  # somebody trades by hand, perhaps what is ours
        if ours is None or not self._keeper.roster.is_owner(ours.owner):
            return  # somebody else's, or another instance hears it too
        if not await self._own.is_of_account(ours.session_id):
            _log.error("another account's tag", account=self._account.name, broker_order_id=order.broker_order_id)
            return
        told = sum(fill.quantity for fill in order.fills)
        if order.status is BrokerStatus.UNKNOWN or told < order.filled_quantity:
            lookup = await self._account.gateway.find_by_tag(ours.session_id, order.tag)
            if lookup.order is None:
                self._missed()  # a fill told before its placement was answered: the book has it, no look-up yet
            order = lookup.order or order
        if judge(ours, order) is ReconcileFinding.HEAR:
            await self._keeper.report(order)
            await self._outbox.flush()

    def _connection(self, event: FeedEvent) -> None:
        if event.kind is FeedEventKind.CONNECTED:
            self._stream.is_up = True
            self._missed()
        elif event.kind in (FeedEventKind.DISCONNECTED, FeedEventKind.REFUSED):
            self._stream.is_up = False
        level = _log.info if event.kind is FeedEventKind.CONNECTED else _log.warning
        level("order stream", account=self._account.name, kind=event.kind.value, text=event.text)
