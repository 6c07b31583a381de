"""Decide and commit: a trade's change, its messages and the intent that asked for it, in one transaction.

A process lock and the book's lock serialise a position; the row's version tells a stale copy.
"""

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

import structlog

from services.execution.accounts.senders import Senders
from services.execution.books import Books
from services.execution.books.approvals import ApprovalFields
from services.execution.books.ports import CONSUMER, Stale
from services.execution.metrics import ExecutionMetrics
from services.execution.sessions import PAPER
from services.execution.trades.ports import Follower
from services.execution.trades.protection import Protection
from services.execution.trades.saying import messages_of
from tradebus.calendar import Contract
from tradebus.contracts.base import Message
from tradebus.contracts.orders import Tariff
from tradebus.contracts.risk import EntryApproved, EntryReduced, ExitApproved
from tradebus.contracts.sessions import ProtectionKind, SessionSpec
from tradebus.contracts.streams import ORDERS
from tradebus.execution.decisions import Decide
from tradebus.execution.opening import open_trade, refuse_trade
from tradebus.execution.roster import Roster
from tradebus.execution.step import Place, Request, TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.clock import Clock
from tradebus.runtime.rendering import fact_of
from tradebus.trading import facts
from tradebus.trading.states import OrderState

EntryApproval = EntryApproved | EntryReduced

Terms = Callable[[str, int, Contract], Contract]  # by session and instrument

_ATTEMPTS = 5
_log = structlog.get_logger()


class Commits:
    """What comes back is to be sent, and only then."""

    def __init__(
        self, books: Books, clock: Clock, *, roster: Roster, follower: Follower | None, metrics: ExecutionMetrics,
        traded: Callable[[Trade, int], None], terms: Terms, known: Callable[[str], SessionSpec | None],
    ) -> None:  # fmt: skip
        """`traded` hears of a trade's new fills; `terms` gives a contract's terms as a session's broker has them,
        `known` says what is known of a session."""
        self._book, self._clock, self._follower = books.book, clock, follower
        self.roster, self.ledger, self._traded = roster, books.ledger, traded
        self.protection, self._terms, self._known = Protection(metrics), terms, known
        self.inherited: set[tuple[str, str]] = set()  # orders (position, id) to be looked up
        self.unrecovered: set[str] = set()  # positions of which something may not have been sent, known or not
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def lock(self, pos_id: str) -> asyncio.Lock:
        """The position's process lock, to be held around what is called here; it lives while somebody holds or awaits
        it."""
        lock = self._locks.get(pos_id)
        if lock is None:
            lock = self._locks[pos_id] = asyncio.Lock()
        return lock

    async def open(
        self, approval: EntryApproval, *, contract: Contract, refusal: str | None, at_ns: int,
        senders: Senders | None = None,
    ) -> tuple[Trade, Sequence[Request]] | None:  # fmt: skip
        """Takes an approval, once: a trade and its entry order, placed at `at_ns`, or our refusal of a stale one. None
        where there is nothing to do. Raises ValueError for an approval that names no session. `senders` hear what will
        be sent before it is stored."""
        fact, step = _approved(approval), TradeStep(cause_id=approval.event_id)
        owner, contract = self.roster.owner, self._terms(approval.session_id or "", approval.instrument, contract)
        if refusal is None:
            trade = open_trade(fact, step, contract=contract, owner=owner, at_ns=at_ns)
            if senders is not None:
                senders.foresee(trade, step.requests)
            # Nothing to publish yet: one statement is the whole transaction, on the way of every entry.
            taken = await self.ledger.open_trade(trade, step, approval, outcome="TAKEN")
        else:
            trade = refuse_trade(fact, step, contract=contract, owner=owner, reason=refusal)
            async with self._book.begin() as tx:
                taken = await self.ledger.open_trade(trade, step, approval, outcome=refusal, transaction=tx)
                for message in self._said(trade, step) if taken else ():
                    tx.emit(ORDERS.name, message)
        if not taken:
            await self._refuse_if_exited(approval, contract=contract)
            return None
        self.remember(trade)
        return trade, step.requests

    async def change(
        self, pos_id: str, decide: Decide, *, message: Message | None = None, intent_id: str | None = None
    ) -> list[Request] | None:
        """Applies one change. None where there is no such trade. With `intent_id` it is made once, however often it is
        asked for. Raises Stale where other instances change the trade all the time."""
        for _ in range(_ATTEMPTS):
            known = self.roster.alive.get(pos_id)
            trade = known or await self.load(pos_id)
            if trade is None:
                return None
            step = TradeStep(cause_id=message.event_id if message else None)
            before, taken_over = trade.version, not self.roster.is_owner(trade.owner)
            try:
                if intent_id is None or message is None:
                    self._decide(trade, decide, step)
                    await self.ledger.update_trade(trade, step, messages=self._said(trade, step))
                elif not await self._take(trade, decide, step, message, intent_id=intent_id):
                    return []
            except Stale:
                _log.info("trade changed elsewhere, reading again", pos_id=pos_id, version=before)
                self.forget(pos_id, is_stray=False)
                continue
            except BaseException:
                self.forget(pos_id)  # the copy in memory has moved, the book has not
                raise
            self.protection.note(trade, now_ns=self.roster.market_ns)
            if step.fills:
                self._traded(trade, len(step.fills))
            self.remember(trade)
            if taken_over or known is None:
                self._inherit(trade, step)
            if taken_over:
                await self._follow(trade)
            return step.requests
        raise Stale(pos_id)

    def _decide(self, trade: Trade, decide: Decide, step: TradeStep) -> None:
        """Whoever changes a trade owns it, and is followed in this by its orders."""
        trade.owner = self.roster.owner
        trade.contract = self._terms(trade.session_id, trade.instrument, trade.contract)
        decide(trade, step)

    async def _take(
        self, trade: Trade, decide: Decide, step: TradeStep, message: Message, *, intent_id: str
    ) -> bool:  # fmt: skip
        """Makes the change that an intent asks for, with the intent. False where it was made before."""
        async with self._book.begin() as tx:
            if not await tx.first_time(CONSUMER, intent_id):
                return False
            await self.ledger.insert_intent(tx, ApprovalFields.of(message), outcome="TAKEN")
            await tx.lock(trade.pos_id)
            self._decide(trade, decide, step)
            await self.ledger.update_trade(trade, step, messages=self._said(trade, step), transaction=tx)
        return True

    async def refuse_unopened(self, message: ExitApproved) -> bool:
        """Keeps the position of an exit that came first from being opened. False where it was opened at this moment."""
        pos_id = message.pos_id or ""
        async with self._book.begin() as tx:
            await tx.lock(pos_id)
            if not await self.ledger.claim_unopened(tx, pos_id):
                return False
            if await tx.first_time(CONSUMER, message.intent_id):
                await self.ledger.insert_intent(tx, ApprovalFields.of(message), outcome="BEFORE_ENTRY")
        return True

    async def load(self, pos_id: str) -> Trade | None:
        """Reads a trade and remembers it. None where there is none."""
        trade = await self.ledger.load(pos_id)
        if trade is not None:
            self.remember(trade)
        return trade

    async def position_of(self, tag: str) -> str | None:
        """The position whose order bears the tag."""
        return self.roster.position_of(tag) or await self.ledger.position_of_tag(tag)

    def remember(self, trade: Trade) -> None:
        """The roster knows the trade as it is committed."""
        spec = self._known(trade.session_id)
        trade.at_broker = spec is not None and spec.broker != PAPER
        trade.protection = (spec.protection if spec is not None else None) or ProtectionKind.STOP
        trade.trailing = spec.trailing_of(trade.strategy) if spec is not None else None
        trade.tariff = spec.tariff if spec is not None else Tariff.ZERODHA
        trade.is_worst_first = spec is not None and spec.is_worst_first
        self.roster.remember(trade)
        if trade.ended:
            self.protection.forget(trade.pos_id)

    def forget(self, pos_id: str, *, is_stray: bool = True) -> None:
        """What the book says is read again. A stray until it is recovered, also where it is read before: what was
        decided on may not have left."""
        if is_stray:
            self.unrecovered.add(pos_id)
        self.roster.forget(pos_id)
        self.protection.forget(pos_id)

    async def _refuse_if_exited(self, approval: EntryApproval, *, contract: Contract) -> None:
        """The approval was taken before, and nothing is to do; or its exit came first: then it is never opened."""
        step = TradeStep(cause_id=approval.event_id)
        trade = refuse_trade(
            _approved(approval), step, contract=contract, owner=self.roster.owner, reason="exit_came_first"
        )
        async with self._book.begin() as tx:
            await tx.lock(trade.pos_id)
            if not await self.ledger.reopen_claim(tx, trade.pos_id):
                return
            taken = await self.ledger.open_trade(trade, step, approval, outcome="exit_came_first", transaction=tx)
            for message in self._said(trade, step) if taken else ():
                tx.emit(ORDERS.name, message)

    def _inherit(self, trade: Trade, step: TradeStep) -> None:
        """Another instance, or an earlier life, decided on what is still without an answer: it may have left or not."""
        ours = {request.order_id for request in step.requests if isinstance(request, Place)}
        waiting = [one.order_id for one in trade.orders if one.state is OrderState.PENDING]
        self.inherited |= {(trade.pos_id, order_id) for order_id in waiting if order_id not in ours}

    async def _follow(self, trade: Trade) -> None:
        if self._follower is None:
            return
        for order in trade.orders:
            if not order.ended:
                await self._follower.follow(trade.session_id, order.tag)

    def _said(self, trade: Trade, step: TradeStep) -> list[Message]:
        return messages_of(trade, step, recorded_ns=self._clock.now_ns())


def _approved(message: EntryApproval) -> facts.EntryApproved:
    fact = fact_of(message)
    assert isinstance(fact, facts.EntryApproved)  # EntryReduced is one
    return fact
