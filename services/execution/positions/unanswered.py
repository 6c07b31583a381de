"""Positions whose stop, or whose exit, a broker does not answer: they are left, and covered.

without an answer ─► seen at a look ─► three seconds since ──────────────────────────┐
   └─ sent by an earlier life, another instance ─► looked up, three since it left ─► a stop: left at the market
                                                                                     an exit: covered
"""

from collections.abc import Callable

from services.execution.trades.keeper import Keeper
from services.execution.trades.pulse import Pulse
from services.execution.trades.supervisor import in_session
from tradebus.contracts.orders import OrderRole
from tradebus.execution import decisions
from tradebus.execution.deadlines import STOP_ANSWER_SECONDS, is_unanswered
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.kernel.timers import Timers
from tradebus.trading.states import OrderState

_ANSWER_NS = STOP_ANSWER_SECONDS * NANOSECONDS_PER_SECOND


class UnansweredStops:
    """`clock_ns`: what the clock of a session's market says, 0 where ticks alone tell; `pulse` knows when they left."""

    def __init__(self, keeper: Keeper, pulse: Pulse, *, clock_ns: Callable[[str], int], timers: Timers) -> None:
        self._keeper, self._roster, self._pulse = keeper, keeper.roster, pulse
        self._clock_ns, self._timers = clock_ns, timers
        self._since_ns: dict[str, int] = {}  # by stop: since when (monotonic) it has no answer

    async def look(self) -> None:
        """Leaves positions whose stop a broker does not answer. How long that takes is measured here and in the book's
        clock: the exchange's and ours may stand apart, and a fill may be heard of late. One that an earlier life or
        another instance has sent is looked up before (`looked_up`)."""
        waiting = [(trade, self._unanswered(trade)) for trade in list(self._roster.alive.values())]
        ids = {order.order_id for _, orders in waiting for order in orders}
        self._since_ns = {one: since_ns for one, since_ns in self._since_ns.items() if one in ids}
        for trade, orders in waiting:
            for order in orders:
                if order.order_id in self._since_ns:
                    await self._leave(trade, order)
                else:
                    await self._note(order)

    async def looked_up(self, pos_id: str, order_id: str) -> None:
        """The broker was asked for an order of the position ("": for all of them): a stop that it does not know has had
        its time since it left, whoever sent it."""
        trade = self._roster.alive.get(pos_id)
        for order in self._unanswered(trade) if trade is not None else ():
            if trade is not None and order_id in ("", order.order_id):
                await self._note(order)
                await self._leave(trade, order)

    def _unanswered(self, trade: Trade) -> list[Order]:
        """The stops and exits of a position of ours at a broker that have no answer."""
        ours = self._roster.is_owner(trade.owner) and trade.open_quantity and self._clock_ns(trade.session_id)
        return [order for order in trade.orders if is_unanswered(order) or _is_awaited(order)] if ours else []

    async def _note(self, order: Order) -> None:
        if order.order_id not in self._since_ns:
            ago_seconds = await self._pulse.left_seconds_ago(order) or 0.0
            since_ns = self._timers.monotonic_ns() - round(ago_seconds * NANOSECONDS_PER_SECOND)
            self._since_ns[order.order_id] = since_ns

    async def _leave(self, trade: Trade, order: Order) -> None:
        """Where it has had its time."""
        at_ns = self._clock_ns(trade.session_id)
        now_ns = self._timers.monotonic_ns()
        waited_ns = now_ns - self._since_ns.get(order.order_id, now_ns)
        if order.role is OrderRole.EXIT:
            if waited_ns >= _ANSWER_NS:
                await self._keeper.attempt(trade.pos_id, decisions.give_up_exit(order.order_id))
            return
        leaving = order.given_up and any(not one.ended and not is_unanswered(one) for one in trade.orders)
        if waited_ns >= _ANSWER_NS and not leaving and in_session(trade.contract, at_ns):
            decide = decisions.give_up_stop(order.order_id, max(at_ns, order.updated_ns))
            await self._keeper.attempt(trade.pos_id, decide)


def _is_awaited(order: Order) -> bool:
    """An exit that was sent, or is about to be, and has no answer of any kind."""
    return order.role is OrderRole.EXIT and order.state is OrderState.PENDING and not order.given_up
