"""Exits that a command asks for: KILL of everything, STOP_TRADING of one session, FLATTEN of it or of a part of it.

    KILL ──────────► all trades ───────────┐
    FLATTEN, STOP ─► the session's trades ─┴─► at brokers at once, together ─► on paper, in turn ─► what was not at hand

Whether risk lives makes no difference here. Where it does, it asks for the same exits: whoever comes second finds
nothing to do. A FLATTEN means what was there when it was given and forbids no entry after it; a STOP stands. In a paced
run only a KILL is obeyed here: there the order of entries is the result, and everybody waits for risk.
"""

import asyncio
from collections.abc import Callable, Collection

import structlog

from services.execution.sessions import PAPER, ExecutionSessions
from services.execution.trades.keeper import Keeper
from services.execution.trades.supervisor import TradeSupervisor
from tradebus.contracts.commands import WHOLE_SESSION, Flatten, FlattenScope, StopTrading
from tradebus.execution.decisions import Decide, exit_at
from tradebus.execution.step import TradeStep
from tradebus.execution.trade import Trade
from tradebus.kernel.clock import Clock
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.runtime.market_time import MarketTime
from tradebus.trading.exit_reasons import FLATTEN, KILL_SWITCH, STOP_TRADING

# A FLATTEN that is older came from a backlog, or a second time: trades that it does not mean may be there by now. While
# it is younger nobody compares clocks: what is there is closed.
_FRESH_NS = 5 * NANOSECONDS_PER_SECOND
_log = structlog.get_logger()


class CommandedExits:
    """`clock` is the machine's, which commands are stamped with; `turn` is held by whoever handles intents."""

    def __init__(
        self, keeper: Keeper, supervisor: TradeSupervisor, sessions: ExecutionSessions, market: MarketTime, *,
        clock: Clock, turn: asyncio.Lock, paced: bool,
    ) -> None:  # fmt: skip
        self._keeper, self._supervisor, self._sessions, self._market = keeper, supervisor, sessions, market
        self._clock, self._turn, self._paced, self._roster = clock, turn, paced, keeper.roster
        self._flattened: dict[str, dict[FlattenScope, Flatten]] = {}  # by session, the last one of each scope
        self._unjudged: set[str] = set()  # positions that were not at hand when a FLATTEN may have meant them

    async def kill(self) -> None:
        """Asks for the exit of everything."""
        await self._leave(lambda trade: True, self._exit(KILL_SWITCH))

    async def obey(self, command: Flatten | StopTrading) -> None:
        """Asks for the exits of the session's trades. Raises ValueError for a command that names no session, and
        InvalidInput for one that is not in the book."""
        session_id = command.session_id
        if not session_id:
            raise ValueError(f"{command.TYPE} without a session_id")
        if self._paced:
            return
        if isinstance(command, StopTrading):
            self._sessions.closed.stop(session_id)  # at once: what waits to be sent is not sent
            await self._sessions.spec(session_id)
            decide = self._exit(STOP_TRADING)
        else:
            await self._sessions.spec(session_id)
            self._remember(session_id, command)
            decide = self._flatten(command)
        await self._leave(_meant_by(command), decide)
        async with self._turn:  # nothing is half taken now
            owned = await self._keeper.commits.ledger.alive(self._roster.owner)
            mine = [pos_id for pos_id, of in owned.items() if of == session_id]
            self._unjudged |= {pos_id for pos_id in mine if pos_id not in self._roster.alive}
            for pos_id in mine:
                trade = self._roster.alive.get(pos_id)
                if trade is not None and self._stays(trade) and _meant_by(command)(trade):
                    await self._keeper.attempt(pos_id, decide)

    async def look(self, adopted: Collection[str]) -> None:
        """Asks for the exits that stand: of sessions that stop or are over, and of trades that a FLATTEN meant and
        that were not at hand when it came. `adopted` are those that another instance has left."""
        for trade in list(self._roster.alive.values()):
            if self._stays(trade) and self._sessions.closed.why(trade.session_id):
                await self._keeper.attempt(trade.pos_id, self._exit(STOP_TRADING))
        if self._flattened:
            self._unjudged.update(adopted)
        if not self._unjudged:
            return
        owned = await self._keeper.commits.ledger.alive(self._roster.owner)
        self._unjudged &= owned.keys()
        for pos_id in sorted(self._unjudged & self._roster.alive.keys()):
            for command in self._flattened.get(owned[pos_id], {}).values():
                if self._stays(self._roster.alive.get(pos_id)):
                    await self._keeper.attempt(pos_id, self._flatten(command))
            self._unjudged.discard(pos_id)

    async def _leave(self, of: Callable[[Trade], bool], decide: Decide) -> None:
        trades = [trade for trade in self._roster.alive.values() if self._stays(trade) and of(trade)]
        at_brokers = [trade.pos_id for trade in trades if self._sessions.is_at_broker(trade.session_id)]
        await asyncio.gather(*(self._keeper.attempt(pos_id, decide) for pos_id in at_brokers))
        for trade in trades:
            if not self._sessions.is_at_broker(trade.session_id):
                async with self._own_turn():
                    await self._keeper.attempt(trade.pos_id, decide)

    def _stays(self, trade: Trade | None) -> bool:
        """Whether nobody has asked for its exit."""
        return trade is not None and trade.exit_reason is None

    def _exit(self, reason: str) -> Decide:
        """In the market's time: a command carries wall time, which a market that runs behind it would never reach."""

        def decide(trade: Trade, step: TradeStep) -> None:
            exit_at(reason=reason, at_ns=self._supervisor.exit_ns(trade))(trade, step)

        return decide

    def _remember(self, session_id: str, command: Flatten) -> None:
        """One of the whole session means whatever those before it did."""
        before = {} if command.scope.is_whole else self._flattened.get(session_id, {})
        self._flattened[session_id] = {**before, command.scope: command}

    def _flatten(self, command: Flatten) -> Decide:
        def decide(trade: Trade, step: TradeStep) -> None:
            if self._is_meant(command, trade):
                self._exit(FLATTEN)(trade, step)

        return decide

    def _is_meant(self, command: Flatten, trade: Trade) -> bool:
        if not _meant_by(command)(trade):
            return False
        if self._clock.now_ns() - command.ts_event_ns <= _FRESH_NS:
            return True
        spec = self._sessions.known(trade.session_id)
        is_live = spec is not None and (spec.broker != PAPER or spec.data_broker is not None)
        given_ns = self._market.at_ns(command.ts_event_ns + _FRESH_NS, is_live=is_live)
        if given_ns is None or trade.created_ns <= given_ns:
            return True
        _log.warning("a FLATTEN of before the trade was opened", pos_id=trade.pos_id, command=command.event_id)
        return False

    def _own_turn(self) -> "asyncio.Lock | _Held":
        """Paced, this is called within the turn already."""
        return _Held() if self._paced else self._turn


def _meant_by(command: Flatten | StopTrading) -> Callable[[Trade], bool]:
    """Which trades a command means."""
    scope = command.scope if isinstance(command, Flatten) else WHOLE_SESSION
    return lambda trade: (
        trade.session_id == command.session_id
        and scope.holds(
            strategy=trade.strategy, symbol=trade.symbol, underlying=trade.contract.underlying, pos_id=trade.pos_id
        )
    )


class _Held:
    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        return None
