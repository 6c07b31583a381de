"""One request to a broker, and what its answer means.

Nothing leaves that another instance may send, that was answered meanwhile, or that goes into a book which is not the
trade's.
"""

import asyncio
from collections.abc import Callable

import structlog

from services.execution.trades.pulse import Pulse
from tradebus.brokers.audit.log import on_behalf_of
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.orders import OrderRole
from tradebus.execution import decisions
from tradebus.execution.decisions import Decide
from tradebus.execution.leaving.covering import fitting
from tradebus.execution.leaving.refusals import waits_refused
from tradebus.execution.leaving.unanswered import covers_meanwhile
from tradebus.execution.roster import Roster
from tradebus.execution.step import Cancel, Place, Request
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import OrderModification, Outcome, Result
from tradebus.waiting.timers import first_done

_FRESH_SECONDS = 3  # with what it may wait for at the router and in the adapter: below what absence takes
_CHANGE_SECONDS = 3.0  # a stop that is to grow leaves part of its position bare for so long
_log = structlog.get_logger()


class Sending:
    """`doubts` are orders (position, id) whose outcome nobody knows for certain: looked up until it is known. After a
    crash a committed order whose request may have left is one of them."""

    def __init__(
        self, gateway: OrderGateway, roster: Roster, pulse: Pulse, *, closed: Callable[[str], bool],
        passed_ns: Callable[[str], int], clock_ns: Callable[[str], int], timers: Timers,
    ) -> None:  # fmt: skip
        """`closed`: whether no entry leaves for a session any more. `passed_ns`: the event time that has
        certainly passed for a session, 0 where ticks alone tell; `clock_ns`: what the clock of its market says."""
        self.gateway, self._roster, self._pulse = gateway, roster, pulse
        self._closed, self._passed_ns, self._clock_ns = closed, passed_ns, clock_ns
        self._timers = timers
        self.doubts: set[tuple[str, str]] = set()
        self._changing: set[asyncio.Task[Outcome]] = set()  # changes whose answer nobody waits for any more

    async def send(self, trade: Trade, request: Request) -> Decide | None:
        """Sends the request and waits for its answer. None where it is not sent."""
        with on_behalf_of(session_id=trade.session_id, pos_id=trade.pos_id):
            return await self._send(trade, request)

    async def _send(self, trade: Trade, request: Request) -> Decide | None:
        if not decisions.is_due(trade, request):
            return None
        order = trade.order(request.order_id)
        if isinstance(request, Place):
            return await self._place(trade, order, request)
        number = order.broker_order_id or ""
        if isinstance(request, Cancel):
            outcome = await self.gateway.cancel(trade.session_id, number, at_ns=request.at_ns)
            if order.is_standing and outcome.result is Result.ACCEPTED:
                return await self._deleted(trade, order, request, outcome)
        else:
            outcome = await self._changed(trade.session_id, number, decisions.change_of(trade, order, request))
            if outcome.result is Result.REFUSED and not request.trails:
                self.doubts.add((trade.pos_id, order.order_id))  # it may have ended, and nobody has said so
            if outcome.result is Result.REFUSED:
                what = "an exit cannot be priced anew, or a stop made one: it stays"
                if order.role is OrderRole.STOP and not order.is_turned and not request.trails:
                    what = "a stop cannot follow its position, leaving"
                elif request.trails:
                    what = "a stop does not trail, it stays where it is"
                _log.error(what, pos_id=trade.pos_id, order_id=order.order_id, reason=outcome.reason)
            elif outcome.result is Result.UNKNOWN and request.trails:
                self.doubts.add((trade.pos_id, order.order_id))
        return decisions.answered(order, request, outcome)

    async def _deleted(self, trade: Trade, order: Order, request: Cancel, outcome: Outcome) -> Decide:
        """A broker's trigger is gone with the answer, and no order stream says so: the exit waits for that word."""
        found = (await self.gateway.find_by_tag(trade.session_id, order.tag)).order
        answered = decisions.answered(order, request, outcome)
        if found is None or not found.status.final:
            self.doubts.add((trade.pos_id, order.order_id))
        if found is None:
            return answered
        return decisions.in_turn(answered, decisions.reported(found, unknown=LookupError(order.tag)))

    async def _changed(self, session_id: str, number: str, change: OrderModification) -> Outcome:
        """A change that a broker does not answer in time counts as lost: what it would have covered is left. Should it
        be made all the same, the order is larger, or nearer the market, for as long as its cancellation takes."""
        asking = self.gateway.modify(session_id, number, change)
        if not self._passed_ns(session_id):
            return await asking  # on paper, in line
        task = asyncio.ensure_future(asking)
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)
        if await first_done(self._timers, [task], seconds=_CHANGE_SECONDS):
            return task.result()
        return Outcome(Result.UNKNOWN, reason=f"no answer to a change in {_CHANGE_SECONDS:g} s")

    def leaves(self, trade: Trade, request: Request) -> bool:
        """Whether `send` would send anything, as things stand."""
        if not decisions.is_due(trade, request):
            return False
        order = trade.order(request.order_id)
        return not (isinstance(request, Place) and self.is_unwanted(trade, order, self._now_ns(trade)))

    def is_unwanted(self, trade: Trade, order: Order, now_ns: int) -> bool:
        """Whether an order that has not left is not to be sent any more: an entry where somebody wants out or its time
        is over, a stop where the position is being left without it, an exit of more than is held by now."""
        if order.role is OrderRole.STOP:
            covers = [*waits_refused(trade), *covers_meanwhile(trade)]
            return trade.exit_reason is not None and order not in covers
        if order.role is OrderRole.EXIT:
            return order not in fitting(trade)
        if trade.exit_reason is not None or self._closed(trade.session_id):
            return True
        return decisions.outdated(trade, order, now_ns)

    async def has_left(self, order: Order) -> bool:
        """Whether the request of a stop or an exit may have left; of an entry it is not always said."""
        return await self._pulse.has_left(order)

    async def in_its_book(self, trade: Trade, order: Order) -> bool:
        """Whether the broker's book is the one that the trade's orders are in, told by the entry that has filled.

        A book begins anew every morning, and the name of a login may mean another account by now. Who takes such a
        book's silence for the end of a stop sells what is not held.
        """
        entry = trade.entry_order()
        if order.role is OrderRole.ENTRY or not entry.filled_quantity:
            return True
        found = (await self.gateway.find_by_tag(trade.session_id, entry.tag)).order is not None
        if not found:
            _log.error("not the book of this trade, look at the account", pos_id=trade.pos_id, order_id=order.order_id)
        return found

    async def _place(self, trade: Trade, order: Order, request: Place) -> Decide | None:
        now_ns = self._now_ns(trade)
        if self.is_unwanted(trade, order, now_ns):
            # It waited here and never left: no look-up is needed to know that.
            return decisions.absent(order.order_id, max(order.placed_ns, now_ns), seen=order.state)
        if self._pulse.is_silent:
            _log.error("silent for too long, the order may be another instance's to send", pos_id=trade.pos_id)
            self.doubts.add((trade.pos_id, order.order_id))
            return None
        market_ns = self._roster.market_ns
        late = market_ns and trade.opened_ns and ist_date(market_ns) > ist_date(trade.opened_ns)
        if late and not await self.in_its_book(trade, order):
            self.doubts.add((trade.pos_id, order.order_id))
            return None
        asked = self._passed_ns(trade.session_id) > 0 and not self._is_fresh_entry(trade, order)
        if asked and not await self._leaves(trade, order, at_ns=max(order.placed_ns, now_ns)):
            _log.error("another instance has taken the trade over, its order is not ours to send", pos_id=trade.pos_id)
            return None
        if asked and self.is_unwanted(trade, order, now_ns):  # by what was heard while the book was asked
            return decisions.absent(order.order_id, max(order.placed_ns, now_ns), seen=order.state)
        outcome = await self.gateway.place(decisions.order_request(trade, order))
        return decisions.answered(order, request, outcome)

    async def _leaves(self, trade: Trade, order: Order, *, at_ns: int) -> bool:
        """Says in the book that it leaves now, and again where it is not now any more: in a process that stood still
        meanwhile the trade may be another instance's, and the order sent."""
        while True:
            asked_ns = self._timers.monotonic_ns()
            if not await self._pulse.leaves(trade, order, at_ns=at_ns):
                return False
            if self._timers.monotonic_ns() - asked_ns <= _FRESH_SECONDS * NANOSECONDS_PER_SECOND:
                return True

    def _is_fresh_entry(self, trade: Trade, order: Order) -> bool:
        """An entry that leaves as it was decided on asks nobody: no other life and no other instance sends it. One that
        has waited, here or in a process that stood still, may be called absent by now."""
        waited_ns = abs(self._clock_ns(trade.session_id) - order.placed_ns)
        return order.role is OrderRole.ENTRY and waited_ns <= _FRESH_SECONDS * NANOSECONDS_PER_SECOND

    def _now_ns(self, trade: Trade) -> int:
        return max(self._roster.market_ns, self._passed_ns(trade.session_id))
