"""Carries out, on the book of record, what supervision (`tradebus.execution.supervision`) makes of market data."""

from collections.abc import Callable

import structlog

from services.execution.trades.keeper import Keeper
from tradebus.brokers.ports import MarketFollower
from tradebus.calendar import Contract, session_of
from tradebus.contracts.records import Records
from tradebus.execution import decisions
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
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.kernel.timers import Timers

_log = structlog.get_logger()


class TradeSupervisor:
    """`passed_ns`: the event time that has certainly passed for a session, 0 where ticks alone tell; `clock_ns`: what
    the clock of its market says, likewise."""

    def __init__(
        self, keeper: Keeper, market: MarketFollower | None, *, passed_ns: Callable[[str], int],
        clock_ns: Callable[[str], int], why_not: Callable[[Trade], str], timers: Timers,
    ) -> None:  # fmt: skip
        """`why_not`: why no request is to be spent on a trade's stops, "" where one may be."""
        self._keeper, self._market, self._timers = keeper, market, timers
        self._passed_ns, self._clock_ns, self._why_not = passed_ns, clock_ns, why_not
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
        return passed_ns if passed_ns and in_session(trade.contract, passed_ns) else 0

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


def in_session(contract: Contract, ts_ns: int) -> bool:
    """Whether it is traded then: an exit that is refused out of hours is not tried all night."""
    session = session_of(contract, ist_date(ts_ns))
    return session is not None and session.open_ns <= ts_ns < session.close_ns
