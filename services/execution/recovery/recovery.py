"""Trades of an earlier life, or of an instance that is gone, and orders whose outcome nobody knows: looked up at the
broker by their tags, the only way out of an unknown outcome.
"""

from collections.abc import Awaitable, Callable

from services.execution.books.ports import Departures
from services.execution.trades.keeper import Keeper
from services.execution.trades.ports import Follower
from services.execution.trades.sending import Sending
from tradebus.brokers.audit.log import on_behalf_of
from tradebus.contracts.orders import OrderRole
from tradebus.execution import decisions
from tradebus.execution.step import Cancel, Modify, Place, Request
from tradebus.execution.trade import Order, Trade
from tradebus.trading.orders import OrderRequest
from tradebus.trading.states import OrderState

# Tells a broker of an order that is a trigger of its own there, and its id where that is known.
Expect = Callable[[OrderRequest, str | None], Awaitable[None]]


class TradeRecovery:
    """`passed_ns`: the event time that has certainly passed for a session, 0 where ticks alone tell."""

    def __init__(
        self, keeper: Keeper, sending: Sending, departures: Departures, *, follower: Follower | None,
        passed_ns: Callable[[str], int], expect: Expect,
    ) -> None:  # fmt: skip
        self._keeper, self._sending, self._follower, self._passed_ns = keeper, sending, follower, passed_ns
        self._departures, self._expect = departures, expect
        self._commits, self._roster, self._ledger = keeper.commits, keeper.roster, keeper.commits.ledger

    async def strays(self) -> list[tuple[str, str]]:
        """Positions, with their sessions, that this instance owns and does not have in memory: of an earlier life,
        adopted, or forgotten in the middle of something that failed. Forgets those that another instance owns now."""
        doubts, unrecovered = self._sending.doubts, self._commits.unrecovered
        # Before: what is opened, or doubted, while the book answers is not in its answer.
        known, doubted, unsent = set(self._roster.alive), set(doubts), set(unrecovered)
        owned = await self._ledger.alive(self._roster.owner)
        for pos_id in known - owned.keys():
            self._commits.forget(pos_id)
        doubts -= {doubt for doubt in doubted if doubt[0] not in owned}
        unrecovered -= unsent - owned.keys()
        waiting = self._keeper.quarantine.holds
        return [
            (pos_id, session_id)
            for pos_id, session_id in owned.items()
            if pos_id in unrecovered or (pos_id not in self._roster.alive and pos_id not in self._keeper.opening)
            if not waiting(pos_id)
        ]

    async def adopt_orphans(self, *, silent_seconds: float) -> list[str]:
        """Takes over the positions of instances whose heart has stopped. They are strays until recovered."""
        adopted = await self._ledger.adopt_orphans(self._roster.owner, silent_seconds=silent_seconds)
        for pos_id in adopted:
            self._commits.forget(pos_id)  # a copy of when it was ours before knows nothing of what was decided since
        return adopted

    def questions(self) -> list[tuple[str, str, str]]:
        """Orders (position, session, id) to be looked up."""
        doubts = self._sending.doubts
        return [
            (trade.pos_id, trade.session_id, order.order_id)
            for _, trade in sorted(self._roster.alive.items())
            for order in trade.orders
            if order.state is OrderState.UNKNOWN or (trade.pos_id, order.order_id) in doubts
        ]

    def set_aside(self, pos_id: str, error: Exception) -> None:
        """The trade cannot be recovered now."""
        self._commits.forget(pos_id)
        self._keeper.quarantine.put(pos_id, error)

    async def recover(self, pos_id: str, *, now_ns: int) -> None:
        """Brings a trade of an earlier life in line with the broker's book and goes on where it stood. It is a stray
        until all of that is done."""
        self._commits.unrecovered.discard(pos_id)
        try:
            await self._recover(pos_id, now_ns=now_ns)
        except BaseException:
            self._commits.unrecovered.add(pos_id)
            raise

    async def _recover(self, pos_id: str, *, now_ns: int) -> None:
        trade = await self._commits.load(pos_id)
        if trade is None or trade.ended:
            return
        if self._keeper.is_busy(trade.session_id, pos_id):
            self._commits.forget(pos_id)  # what is under way is answered first
            return
        await self._keeper.change(pos_id, decisions.only_own)
        # As it is by now: who had it before may have come back, and decided on more, while it was read.
        trade = self._roster.alive.get(pos_id, trade)
        for order in [order for order in trade.orders if not order.ended]:
            await self.resolve(pos_id, order.order_id, now_ns=now_ns)
        async with self._commits.lock(pos_id):
            await self._keeper.dispatch(pos_id, await self._unfinished(self._roster.alive.get(pos_id)))
        await self._trail_again(self._roster.alive.get(pos_id))
        await self._keeper.change(pos_id, decisions.go_on)

    async def resolve(self, pos_id: str, order_id: str, *, now_ns: int) -> None:
        """Looks an order up by its tag."""
        trade = self._roster.alive.get(pos_id) or await self._commits.load(pos_id)
        if trade is None:
            return
        now_ns = max(now_ns, self._passed_ns(trade.session_id))
        order, doubt, doubts = trade.order(order_id), (pos_id, order_id), self._sending.doubts
        if order.state is OrderState.PENDING and self._keeper.is_busy(trade.session_id, pos_id):
            doubts.add(doubt)  # it may be leaving at this moment: asked again once nothing is
            return
        seen = order.state
        if await self._never_left(trade, order):
            doubts.discard(doubt)
            await self._absent(trade, order, now_ns=now_ns, seen=seen)
            return
        with on_behalf_of(session_id=trade.session_id, pos_id=trade.pos_id):
            if order.is_standing:
                await self._expect(decisions.order_request(trade, order), order.broker_order_id)
            lookup = await self._sending.gateway.find_by_tag(trade.session_id, order.tag)
        if lookup.order is not None or lookup.definitive:
            doubts.discard(doubt)
        else:
            doubts.add(doubt)
        if lookup.order is not None:
            if self._follower is not None:
                await self._follower.follow(trade.session_id, order.tag)
            await self._keeper.report(lookup.order)
        elif lookup.definitive and not await self._sending.in_its_book(trade, order):
            doubts.add(doubt)
        elif lookup.definitive:
            await self._absent(trade, order, now_ns=now_ns, seen=seen)

    async def _never_left(self, trade: Trade, order: Order) -> bool:
        """Of a stop or an exit at a broker the book knows: who sends one says so first, and only while the trade is
        his. It is ours now, and nothing of it waits here."""
        said_first = order.role is not OrderRole.ENTRY and self._passed_ns(trade.session_id) > 0
        if order.state is not OrderState.PENDING or not said_first or not self._roster.is_owner(trade.owner):
            return False
        return not await self._sending.has_left(order)

    async def _absent(self, trade: Trade, order: Order, *, now_ns: int, seen: OrderState) -> None:
        """What has certainly not arrived and never left, as far as we know, is sent; but at a broker no entry. It is
        old by then, and were its request to arrive all the same, there would be two of it."""
        at_broker = self._passed_ns(trade.session_id) > 0
        unwanted = self._sending.is_unwanted(trade, order, now_ns) or (order.role is OrderRole.ENTRY and at_broker)
        if order.state is OrderState.PENDING and not unwanted:
            if not self._roster.is_owner(trade.owner):
                return  # its new owner sends it
            async with self._commits.lock(trade.pos_id):
                await self._keeper.dispatch(trade.pos_id, [Place(order.order_id)])
        else:
            await self._keeper.change(trade.pos_id, decisions.absent(order.order_id, now_ns, seen=seen))

    async def _trail_again(self, trade: Trade | None) -> None:
        """Stops that were to trail, and whose broker was perhaps never told."""
        for order in trade.all_live(OrderRole.STOP) if trade is not None else ():
            at_ns = await self._departures.trail_unanswered(order)
            if trade is None or at_ns is None:
                continue
            found = (await self._sending.gateway.find_by_tag(trade.session_id, order.tag)).order
            if found is not None and found.trigger_paise:
                rests = decisions.trail_again(order.order_id, at_ns, rests_at_paise=found.trigger_paise)
                await self._keeper.change(trade.pos_id, rests)

    async def _unfinished(self, trade: Trade | None) -> list[Request]:
        """Requests that a crash may have swallowed between commit and answer. All may be sent twice without harm."""
        if trade is None:
            return []
        found: list[Request] = []
        entries = [order for order in trade.orders if order.role is OrderRole.ENTRY]
        last = trade.all_live(OrderRole.STOP)[-1:]  # the one that grows
        for order in trade.orders:
            if order.state is OrderState.CANCEL_PENDING:
                found.append(Cancel(order.order_id, order.updated_ns))
            elif order.state is OrderState.TRIGGER_PENDING and trade.exit_reason is None:
                grown = await self._ledger.growth_unanswered(entries, order) if order in last else None
                if grown is not None:
                    at_ns, by = grown
                    found.append(Modify(order.order_id, at_ns, order.quantity - by, order.trigger_paise or 0))
        return found
