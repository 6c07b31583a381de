"""The last line of defence at the day's last moment: positions that nobody closes are closed here.

Risk asks for the exit of every position at its hard end, by the market's clock and without a tick. Where risk is dead
nobody does; execution, which lives on, knows the session's limits and the contract's hours as well.

    hard end ─► risk's exit (at once) … grace … still none, at several looks ─► SQUARE_OFF_FORCED, and the exit

Risk that comes back finds the position closed or closing: whoever asks second finds nothing to do. Not for a paced run:
there everybody waits for risk.
"""

import structlog

from services.execution.sessions import ExecutionSessions
from services.execution.trades.keeper import Keeper
from tradebus.calendar import session_of
from tradebus.contracts.sessions import SessionSpec
from tradebus.execution.decisions import square_off
from tradebus.execution.trade import Trade
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_date
from tradebus.risk.terms import hours_of, narrowed_end
from tradebus.runtime.market_time import MarketTime

_LOOKS = 3  # a market may run faster than the machine: so many looks risk has in any case
_log = structlog.get_logger()


class LastLine:
    """`market` is the market's time; `grace_seconds`, of event time, is left to risk."""

    def __init__(
        self, keeper: Keeper, sessions: ExecutionSessions, market: MarketTime, *, grace_seconds: float
    ) -> None:
        self._keeper, self._sessions, self._market = keeper, sessions, market
        self._grace_ns = int(grace_seconds * NANOSECONDS_PER_SECOND)
        self._looks: dict[str, int] = {}  # at which a position was overdue, one after the other

    async def look(self) -> None:
        """Asks for the exit of every open position of ours that is overdue and that nobody has asked to leave."""
        looks: dict[str, int] = {}
        roster = self._keeper.roster
        for trade in list(roster.alive.values()):
            if trade.open_quantity == 0 or trade.exit_reason is not None or not roster.is_owner(trade.owner):
                continue
            spec = await self._sessions.spec(trade.session_id)
            now_ns = self._market.now_ns(is_live=spec.data_broker is not None)
            hard_end_ns = None if now_ns is None else overdue(trade, spec, now_ns, grace_ns=self._grace_ns)
            if now_ns is None or hard_end_ns is None:
                continue
            looks[trade.pos_id] = self._looks.get(trade.pos_id, 0) + 1
            if looks[trade.pos_id] >= _LOOKS:
                _log.error("no exit was asked for at the hard end, squaring off", pos_id=trade.pos_id)
                await self._keeper.attempt(trade.pos_id, square_off(hard_end_ns=hard_end_ns, at_ns=now_ns))
        self._looks = looks


def overdue(trade: Trade, spec: SessionSpec, now_ns: int, *, grace_ns: int) -> int | None:
    """The hard end that an open position has outlived by the grace; None where it has not, or nothing is traded now.

    Where less than twice the grace is left until the broker closes it himself, half of what is left is grace: closed
    it must be before. A position of an earlier day is given the grace from the open on.
    """
    began_ns = trade.opened_ns or trade.created_ns
    try:
        session = session_of(trade.contract, ist_date(now_ns))
        hours = hours_of(trade.contract, spec.limits, ts_ns=began_ns)
    except InvalidInput:
        return None  # of what the calendar does not know nobody can say when it ends
    if session is None or not session.open_ns <= now_ns < session.close_ns:
        return None
    own = next((one.limits for one in spec.strategies if one.name == trade.strategy), None)
    hard_end_ns = began_ns if hours is None else narrowed_end(hours, own, ts_ns=began_ns)
    from_ns = max(hard_end_ns, session.open_ns)
    brokers_ns = session.brokers_square_off_ns
    left_ns = max(0, (brokers_ns if from_ns < brokers_ns else session.close_ns) - from_ns)
    return hard_end_ns if now_ns >= from_ns + min(grace_ns, left_ns // 2) else None
