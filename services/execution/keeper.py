"""Keeps trades: decide, commit, send, and decide again on the answer.

    change ─► lock(pos_id) ─► domain step ─► commit state + messages ─► requests ─► their answers are changes

Nothing leaves for the broker before the intent and its tag are committed; no answer is acted on before it is committed.
A process lock and a Postgres advisory lock serialise a position; the row's version tells a stale copy.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

import structlog

from services.execution.adapters import ledger
from services.execution.adapters.instruments import InstrumentKinds
from services.execution.adapters.ledger import Ledger, Stale
from services.execution.ports import Follower
from services.execution.protection import Protection
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.base import Message
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.streams import ORDERS
from tradebus.execution import decisions, lifecycle
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade, refuse_trade
from tradebus.execution.step import Cancel, Modify, Place, Request, Step
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.clock import Clock, monotonic_ns
from tradebus.kernel.time import ist_date
from tradebus.runtime.rendering import fact_of, message_of
from tradebus.store.store import Store, Transaction
from tradebus.trading import facts
from tradebus.trading.orders import BrokerOrder, Change
from tradebus.trading.states import OrderState

Approval = EntryApproved | EntryReduced

CONSUMER = "execution"
_ATTEMPTS = 5
_log = structlog.get_logger()


class Keeper:
    """One per execution instance. `kinds` knows instruments' kinds (for charges), `owner` is the instance."""

    def __init__(
        self,
        store: Store,
        gateway: OrderGateway,
        clock: Clock,
        *,
        owner: str,
        kinds: InstrumentKinds,
        follower: Follower | None,
        passed_ns: Callable[[str], int],
        silent_seconds: float,
    ) -> None:
        """`passed_ns`: the event time that has certainly passed for a session, 0 where ticks alone tell.
        `silent_seconds`: so long after its last heartbeat the trades of an instance may be another's."""
        self.passed_ns, self._silent_ns, self._beat_ns = passed_ns, int(silent_seconds * 1e9), 0
        self._store, self._gateway, self._clock, self._follower = store, gateway, clock, follower
        self._owner, self._kinds = owner, kinds
        self._ledger = Ledger(store.pool)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._position_of_tag: dict[str, str] = {}
        self.alive: dict[str, Trade] = {}
        self.by_instrument: dict[int, dict[str, Trade]] = {}  # the same trades
        self._holding: set[str] = set()  # living trades with a fill
        self.deadlines_ns: dict[str, int] = {}  # of the trades that have one
        # Orders (position, id) whose look-up said nothing for certain: looked up again. After a crash a committed
        # order whose request may have left is one of them.
        self.unsettled: set[tuple[str, str]] = set()
        self._protection = Protection()
        self.market_ns = 0  # the event time of what is being handled; the supervisor sets it
        self.revision = 0  # goes up with every change of any trade

    async def open(self, approval: Approval, *, refusal: str | None, at_ns: int) -> None:
        """Takes an approval, once: a trade and its entry order, placed at `at_ns`, or our refusal of a stale one.
        Raises ValueError for one that names no session."""
        fact = _approved(approval)
        pos_id = approval.pos_id or ""
        step = Step(cause_id=approval.event_id)
        kind = await self._kinds.of(approval.instrument)
        async with self._lock(pos_id):
            if refusal is None:
                trade = open_trade(fact, step, kind=kind, owner=self._owner, at_ns=at_ns)
                # Nothing to publish yet: one statement is the whole transaction, on the way of every entry.
                taken = await ledger.open_trade(
                    self._store.alone, trade, step, approval, consumer=CONSUMER, outcome="TAKEN"
                )
            else:
                trade = refuse_trade(fact, step, kind=kind, owner=self._owner, reason=refusal)
                async with self._store.begin() as tx:
                    taken = await ledger.open_trade(
                        tx.connection.fetchrow, trade, step, approval, consumer=CONSUMER, outcome=refusal
                    )
                    if taken:
                        self._emit(tx, step)
            if taken:
                self._remember(trade)
                await self._cascade(trade.pos_id, step.requests)
            else:
                await self._refuse_if_exited(approval, kind=kind)

    async def _refuse_if_exited(self, approval: Approval, *, kind: str) -> None:
        """The approval was taken before, and nothing is to do; or its exit came first: then it is never opened."""
        step = Step(cause_id=approval.event_id)
        trade = refuse_trade(_approved(approval), step, kind=kind, owner=self._owner, reason="exit_came_first")
        async with self._store.begin() as tx:
            await tx.lock(trade.pos_id)
            if not await ledger.reopen_claim(tx.connection, trade.pos_id):
                return
            if await ledger.open_trade(
                tx.connection.fetchrow, trade, step, approval, consumer=CONSUMER, outcome="exit_came_first"
            ):
                self._emit(tx, step)

    async def exit(self, message: ExitApproved, decide: Decide) -> None:
        """Takes an approved exit, once. The instances share the intents, so it may come before its entry is taken:
        then the position will not be opened."""
        pos_id = message.pos_id or ""
        while not await self.change(pos_id, decide, message=message, intent_id=message.intent_id):
            async with self._store.begin() as tx:
                await tx.lock(pos_id)
                if not await ledger.claim_unopened(tx.connection, pos_id):
                    continue  # opened at this moment
                if await tx.first_time(CONSUMER, message.intent_id):
                    await ledger.insert_intent(
                        tx, message, intent_id=message.intent_id, kind="EXIT", outcome="BEFORE_ENTRY"
                    )
            _log.warning("an exit came before its entry", pos_id=pos_id)
            return

    async def change(
        self, pos_id: str, decide: Decide, *, message: Message | None = None, intent_id: str | None = None
    ) -> bool:
        """Applies one change and everything that follows from it. False where there is no such trade.

        With `intent_id` the change is made once, however often it is asked for.
        """
        async with self._lock(pos_id):
            requests = await self._commit(pos_id, decide, message=message, intent_id=intent_id)
            if requests is None:
                return False
            await self._cascade(pos_id, requests)
            return True

    async def report(self, order: BrokerOrder) -> None:
        """What the broker says of an order, by stream, book or look-up."""
        pos_id = self._position_of_tag.get(order.tag) or await self._ledger.position_of_tag(order.tag)
        if pos_id is None:
            _log.warning("an order that is not ours", broker_order_id=order.broker_order_id, account=order.account)
            return
        await self.change(pos_id, decisions.reported(order, unknown=Stale(pos_id)))

    async def recover(self, pos_id: str, *, now_ns: int) -> None:
        """Brings a trade of an earlier life in line with the broker's book and goes on where it stood."""
        trade = await self._load(pos_id)
        if trade is None or trade.ended:
            return
        await self.change(pos_id, decisions.only_own)
        for order in [order for order in trade.orders if not order.ended]:
            await self.resolve(pos_id, order.order_id, now_ns=now_ns)
        async with self._lock(pos_id):
            await self._cascade(pos_id, await self._unfinished(self.alive.get(pos_id)))
        await self.change(pos_id, decisions.go_on)

    async def resolve(self, pos_id: str, order_id: str, *, now_ns: int) -> None:
        """Looks an order up by its tag: the only way out of an unknown outcome."""
        trade = self.alive.get(pos_id) or await self._load(pos_id)
        if trade is None:
            return
        now_ns = max(now_ns, self.passed_ns(trade.session_id))
        order = trade.order(order_id)
        seen = order.state
        lookup = await self._gateway.find_by_tag(trade.session_id, order.tag)
        if lookup.order is not None or lookup.definitive:
            self.unsettled.discard((pos_id, order_id))
        else:
            self.unsettled.add((pos_id, order_id))
        if lookup.order is not None:
            if self._follower is not None:
                await self._follower.follow(trade.session_id, order.tag)
            await self.report(lookup.order)
        elif lookup.definitive and not await self._in_its_book(trade, order):
            self.unsettled.add((pos_id, order_id))
        elif lookup.definitive and order.state is OrderState.PENDING and not decisions.outdated(trade, order, now_ns):
            if not self.owns(trade):
                return  # its new owner sends it
            async with self._lock(pos_id):
                await self._cascade(pos_id, [Place(order_id)])
        elif lookup.definitive:
            await self.change(pos_id, decisions.absent(order_id, now_ns, seen=seen))

    async def strays(self) -> list[str]:
        """Positions this instance owns and does not have in memory: of an earlier life, adopted, or forgotten in the
        middle of something that failed. Forgets those that another instance owns now."""
        owned = await self._ledger.alive(self._owner)
        for pos_id in self.alive.keys() - set(owned):
            self._forget(pos_id)
        self.unsettled = {(pos_id, order_id) for pos_id, order_id in self.unsettled if pos_id in owned}
        return [pos_id for pos_id in owned if pos_id not in self.alive]

    async def beat(self) -> None:
        """Says that this instance is alive."""
        asked_ns = monotonic_ns()
        await self._ledger.heartbeat(self._owner)
        self._beat_ns = asked_ns

    async def adopt_orphans(self, *, silent_seconds: float) -> list[str]:
        """Takes over the positions of instances whose heart has stopped. They are strays until recovered."""
        return await self._ledger.adopt_orphans(self._owner, silent_seconds=silent_seconds)

    async def save_extremes(self, trades: Sequence[Trade]) -> None:
        await self._ledger.save_extremes(trades)

    @property
    def holds_any(self) -> bool:
        """Whether any living trade has been filled."""
        return bool(self._holding)

    def owns(self, trade: Trade) -> bool:
        return self.is_owner(trade.owner)

    def is_owner(self, name: str) -> bool:
        """Whether that instance is this one."""
        return name == self._owner

    async def _cascade(self, pos_id: str, requests: Sequence[Request]) -> None:
        queue = deque(requests)
        try:
            while queue:
                request = queue.popleft()
                trade = self.alive.get(pos_id)
                if trade is None:
                    return
                decide = await self._send(trade, request)
                if decide is not None:
                    queue.extend(await self._commit(pos_id, decide) or ())
        except BaseException:
            self._forget(pos_id)  # a stray now: what was not sent is found when it is recovered
            raise

    async def _commit(
        self, pos_id: str, decide: Decide, *, message: Message | None = None, intent_id: str | None = None
    ) -> list[Request] | None:
        for _ in range(_ATTEMPTS):
            trade = self.alive.get(pos_id) or await self._load(pos_id)
            if trade is None:
                return None
            step = Step(cause_id=message.event_id if message else None)
            try:
                async with self._store.begin() as tx:
                    if intent_id is not None and message is not None:
                        if not await tx.first_time(CONSUMER, intent_id):
                            return []
                        await ledger.insert_intent(tx, message, intent_id=intent_id, kind="EXIT", outcome="TAKEN")
                    await tx.lock(pos_id)
                    before, taken_over = trade.version, trade.owner != self._owner
                    trade.owner = self._owner  # whoever changes a trade owns it, and is followed in this by its orders
                    decide(trade, step)
                    await ledger.update_trade(tx, trade, step)
                    self._emit(tx, step)
            except Stale:
                _log.info("trade changed elsewhere, reading again", pos_id=pos_id, version=before)
                self._forget(pos_id)
                continue
            except BaseException:
                self._forget(pos_id)  # the copy in memory has moved, the book has not
                raise
            self._protection.note(trade, now_ns=self.market_ns)
            self._remember(trade)
            if taken_over:
                await self._follow(trade)
            return step.requests
        raise Stale(pos_id)

    async def _follow(self, trade: Trade) -> None:
        if self._follower is None:
            return
        for order in trade.orders:
            if not order.ended:
                await self._follower.follow(trade.session_id, order.tag)

    async def _send(self, trade: Trade, request: Request) -> Decide | None:
        order = trade.order(request.order_id)
        if isinstance(request, Place):
            if order.state is not OrderState.PENDING:
                return None  # answered meanwhile: sent again it might be a second order
            if monotonic_ns() - self._beat_ns > self._silent_ns:
                _log.error("silent for too long, the order may be another instance's to send", pos_id=trade.pos_id)
                self.unsettled.add((trade.pos_id, order.order_id))
                return None
            late = self.market_ns and trade.opened_ns and ist_date(self.market_ns) > ist_date(trade.opened_ns)
            if late and not await self._in_its_book(trade, order):
                self.unsettled.add((trade.pos_id, order.order_id))
                return None
            placed = await self._gateway.place(decisions.order_request(trade, order))
            return decisions.placed(order.order_id, placed, order.placed_ns)
        if order.broker_order_id is None or order.ended or order.state is OrderState.UNKNOWN:
            return None  # what is not known is looked up first
        if isinstance(request, Cancel):
            outcome = await self._gateway.cancel(trade.session_id, order.broker_order_id, at_ns=request.at_ns)
            return decisions.cancelled(order.order_id, outcome, request.at_ns)
        change = Change(order.quantity, order.price_paise, order.trigger_paise, request.at_ns)
        outcome = await self._gateway.modify(trade.session_id, order.broker_order_id, change)
        return decisions.modified(request, outcome)

    async def _in_its_book(self, trade: Trade, order: Order) -> bool:
        """Whether the broker's book is the one that the trade's orders are in, told by the entry that has filled.

        A book begins anew every morning, and the name of a login may mean another account by now. Who takes such a
        book's silence for the end of a stop sells what is not held.
        """
        entry = trade.entry_order()
        if order is entry or not entry.filled_quantity:
            return True
        found = (await self._gateway.find_by_tag(trade.session_id, entry.tag)).order is not None
        if not found:
            _log.error("not the book of this trade, look at the account", pos_id=trade.pos_id, order_id=order.order_id)
        return found

    async def _unfinished(self, trade: Trade | None) -> list[Request]:
        """Requests that a crash may have swallowed between commit and answer. All may be sent twice without harm."""
        if trade is None:
            return []
        found: list[Request] = []
        for order in trade.orders:
            if order.state is OrderState.CANCEL_PENDING:
                found.append(Cancel(order.order_id, order.updated_ns))
            elif order.state is OrderState.TRIGGER_PENDING and trade.exit_reason is None:
                grown = await self._ledger.growth_unanswered(trade.entry_order(), order)
                if grown is not None:
                    at_ns, by = grown
                    found.append(Modify(order.order_id, at_ns, order.quantity - by, order.trigger_paise or 0))
        return found

    def _emit(self, tx: Transaction, step: Step) -> None:
        recorded_ns = self._clock.now_ns()
        for fact in step.facts:
            tx.emit(ORDERS.name, message_of(fact, source=CONSUMER, recorded_ns=recorded_ns))

    async def _load(self, pos_id: str) -> Trade | None:
        trade = await self._ledger.load(pos_id)
        if trade is not None:
            self._remember(trade)
        return trade

    def _remember(self, trade: Trade) -> None:
        self.revision += 1
        if trade.ended:
            self._forget(trade.pos_id)
            return
        self.alive[trade.pos_id] = trade
        self.by_instrument.setdefault(trade.instrument, {})[trade.pos_id] = trade
        if trade.entry_quantity:
            self._holding.add(trade.pos_id)
        due_ns = lifecycle.deadline_ns(trade)
        if due_ns is None:
            self.deadlines_ns.pop(trade.pos_id, None)
        else:
            self.deadlines_ns[trade.pos_id] = due_ns
        for order in trade.orders:
            self._position_of_tag[order.tag] = trade.pos_id

    def _forget(self, pos_id: str) -> None:
        self.revision += 1
        trade = self.alive.pop(pos_id, None)
        self.deadlines_ns.pop(pos_id, None)
        self._holding.discard(pos_id)
        self._protection.forget(pos_id)
        if trade is None:
            return
        for order in trade.orders:
            self._position_of_tag.pop(order.tag, None)
        others = self.by_instrument[trade.instrument]
        del others[pos_id]
        if not others:
            del self.by_instrument[trade.instrument]

    def _lock(self, pos_id: str) -> asyncio.Lock:
        """The position's process lock; it lives while somebody holds or awaits it."""
        lock = self._locks.get(pos_id)
        if lock is None:
            lock = self._locks[pos_id] = asyncio.Lock()
        return lock


def _approved(message: Approval) -> facts.EntryApproved:
    fact = fact_of(message)
    assert isinstance(fact, facts.EntryApproved)  # EntryReduced is one
    return fact
