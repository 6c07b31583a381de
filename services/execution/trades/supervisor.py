"""Carries out, on the book of record, what supervision (`tradebus.execution.supervision`) makes of market data."""

from collections.abc import Callable

import structlog

from services.execution.trades.keeper import Keeper
from services.execution.trades.pulse import Pulse
from tradebus.brokers.ports import MarketFollower
from tradebus.calendar import Contract, session_of
from tradebus.contracts.records import Records
from tradebus.execution import decisions
from tradebus.execution.deadlines import STOP_ANSWER_SECONDS, is_unanswered
from tradebus.execution.decisions import exit_at
from tradebus.execution.stops.tightening import YIELD_SECONDS
from tradebus.execution.supervision import (
    KeepExtremes,
    MeetTick,
    Supervision,
    SupervisionAction,
    TradeDecision,
    TrailStop,
)
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.kernel.timers import Timers

_log = structlog.get_logger()
_ANSWER_NS = STOP_ANSWER_SECONDS * NANOSECONDS_PER_SECOND


class TradeSupervisor:
    """`passed_ns`: the event time that has certainly passed for a session, 0 where ticks alone tell; `clock_ns`: what
    the clock of its market says, likewise."""

    def __init__(
        self, keeper: Keeper, market: MarketFollower | None, *, passed_ns: Callable[[str], int],
        clock_ns: Callable[[str], int], why_not: Callable[[Trade], str], timers: Timers, pulse: Pulse,
    ) -> None:  # fmt: skip
        """`why_not`: why no request is to be spent on a trade's stops, "" where one may be. `pulse` knows when they
        left."""
        self._keeper, self._market, self._timers, self._pulse = keeper, market, timers, pulse
        self._passed_ns, self._clock_ns, self._why_not = passed_ns, clock_ns, why_not
        self._unanswered_ns: dict[str, int] = {}  # by stop: since when (monotonic) it has no answer
        self._supervision = Supervision(keeper.roster, market)

    @property
    def now_ns(self) -> int:
        """The event time up to which everything has been applied."""
        return self._supervision.now_ns

    def begin(self, now_ns: int) -> None:
        """Everything before `now_ns` was applied in an earlier life."""
        self._supervision.now_ns = now_ns

    def restart(self) -> None:
        """A batch may have been applied in part: it comes again, as in a new life."""
        now_ns = self._supervision.now_ns
        self._supervision = Supervision(self._keeper.roster, self._market)
        self._supervision.now_ns = now_ns

    async def apply(self, ticks: Records, *, end_ns: int) -> None:
        """One batch: everything up to, not including, `end_ns`."""
        for action in self._supervision.apply(ticks, end_ns=end_ns):
            await self._carry_out(action)

    async def meet_missed(self) -> None:
        """Deadlines of trades at brokers, where the ticks that would tell of them have stopped in a session."""
        for action in self._supervision.missed(self._passed):
            await self._carry_out(action)

    async def leave_unanswered(self) -> None:
        """Leaves positions whose stop a broker does not answer. How long that takes is measured here and in the book's
        clock: the exchange's and ours may stand apart, and a fill may be heard of late. One that an earlier life or
        another instance has sent is looked up before (`leave_looked_up`)."""
        waiting = [(trade, self._unanswered(trade)) for trade in list(self._keeper.roster.alive.values())]
        ids = {order.order_id for _, orders in waiting for order in orders}
        self._unanswered_ns = {one: since_ns for one, since_ns in self._unanswered_ns.items() if one in ids}
        for trade, orders in waiting:
            for order in orders:
                if order.order_id in self._unanswered_ns:
                    await self._leave_unanswered(trade, order)
                else:
                    await self._note_unanswered(order)

    async def leave_looked_up(self, pos_id: str, order_id: str) -> None:
        """The broker was asked for an order of the position ("": for all of them): a stop that it does not know has had
        its time since it left, whoever sent it."""
        trade = self._keeper.roster.alive.get(pos_id)
        for order in self._unanswered(trade) if trade is not None else ():
            if trade is not None and order_id in ("", order.order_id):
                await self._note_unanswered(order)
                await self._leave_unanswered(trade, order)

    def _unanswered(self, trade: Trade) -> list[Order]:
        """The stops of a position of ours at a broker that have no answer."""
        ours = self._keeper.roster.is_owner(trade.owner) and trade.open_quantity and self._clock_ns(trade.session_id)
        return [order for order in trade.orders if is_unanswered(order)] if ours else []

    async def _note_unanswered(self, order: Order) -> None:
        if order.order_id not in self._unanswered_ns:
            ago_seconds = await self._pulse.left_seconds_ago(order) or 0.0
            since_ns = self._timers.monotonic_ns() - round(ago_seconds * NANOSECONDS_PER_SECOND)
            self._unanswered_ns[order.order_id] = since_ns

    async def _leave_unanswered(self, trade: Trade, order: Order) -> None:
        """Where it has had its time."""
        at_ns = self._clock_ns(trade.session_id)
        now_ns = self._timers.monotonic_ns()
        waited_ns = now_ns - self._unanswered_ns.get(order.order_id, now_ns)
        leaving = order.given_up and any(not one.ended and not is_unanswered(one) for one in trade.orders)
        if waited_ns >= _ANSWER_NS and not leaving and _in_session(trade.contract, at_ns):
            decide = decisions.give_up_stop(order.order_id, max(at_ns, order.updated_ns))
            await self._keeper.attempt(trade.pos_id, decide)

    async def tell_unprotected(self) -> None:
        """Says to people which positions have been without a stop for too long."""
        owned = [one for one in self._keeper.roster.alive.values() if self._keeper.roster.is_owner(one.owner)]
        overdue = self._keeper.commits.protection.look(owned, monotonic_ns=self._timers.monotonic_ns())
        for trade, seconds in overdue:
            _log.error("a position without a stop", pos_id=trade.pos_id, symbol=trade.symbol, seconds=seconds)
            at_ns = self.exit_ns(trade)
            await self._keeper.attempt(trade.pos_id, decisions.unprotected(seconds=seconds, at_ns=at_ns))

    async def leave_all(self, reason: str) -> None:
        """Asks for the exit of every trade that is not on its way out."""
        for trade in list(self._keeper.roster.alive.values()):
            if trade.exit_reason is None:
                await self._keeper.attempt(trade.pos_id, exit_at(reason=reason, at_ns=self.exit_ns(trade)))

    def exit_ns(self, trade: Trade) -> int:
        """When an exit takes effect that is asked for now, in the market's time."""
        return max(self.now_ns, self._passed_ns(trade.session_id), trade.created_ns)

    def unsaved(self) -> list[Trade]:
        """Open trades whose extremes should be stored now: at most once a second of event time."""
        return self._supervision.unsaved()

    def held(self) -> list[Trade]:
        """Open trades: what market data has meant for them is in memory."""
        return self._supervision.held()

    def _passed(self, trade: Trade) -> int:
        passed_ns = self._passed_ns(trade.session_id)
        return passed_ns if passed_ns and _in_session(trade.contract, passed_ns) else 0

    async def _carry_out(self, action: SupervisionAction) -> None:
        if isinstance(action, TradeDecision):
            await self._keeper.attempt(action.pos_id, action.decide)
        elif isinstance(action, TrailStop):
            await self._trail(action)
        elif isinstance(action, KeepExtremes):
            await self._keeper.commits.ledger.save_extremes(action.trades)
        elif self._market is None:
            return
        elif isinstance(action, MeetTick):
            for report in await self._market.on_tick(action.instrument, action.ticks, action.index):
                await self._keeper.report(report)
        else:
            while reports := await self._market.advance(action.now_ns):
                for report in reports:
                    await self._keeper.report(report)

    async def _trail(self, action: TrailStop) -> None:
        trade = self._keeper.roster.alive.get(action.pos_id)
        if trade is None:
            return
        why_not = self._why_not(trade)
        if not why_not:
            await self._keeper.attempt(action.pos_id, action.decide)
            return
        trade.trail_from_ns = action.at_ns + YIELD_SECONDS * NANOSECONDS_PER_SECOND
        _log.debug("a stop stays where it is", pos_id=trade.pos_id, symbol=trade.symbol, reason=why_not)


def _in_session(contract: Contract, ts_ns: int) -> bool:
    """Whether it is traded then: an exit that is refused out of hours is not tried all night."""
    session = session_of(contract, ist_date(ts_ns))
    return session is not None and session.open_ns <= ts_ns < session.close_ns
