"""What limits hold over: the session, a strategy of it, and what several sessions share (an account, all of them).

    session ("")    its own limits
    strategy orb    the limits its START gave the strategy
    user …          the operator's, over every session of one user, this day's others included
    account …, all  the operator's, over every session that trades there

Every rule that counts asks each scope in turn; the tightest decides.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from tradebus.contracts.sessions import RiskLimits, ScopeLimits
from tradebus.risk.state import ClosedTrade, RiskHolding, RiskState, StrategyDay
from tradebus.risk.terms import Means, SessionTerms, SharedLimits, Situation

_NOTHING_YET = StrategyDay()


class Tally(Protocol):
    """What a scope has done this day."""

    @property
    def consecutive_losses(self) -> int: ...

    @property
    def trades(self) -> Mapping[str, int]: ...

    @property
    def last_trade_ns(self) -> Mapping[str, int]: ...

    @property
    def approvals_ns(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True)
class RiskScope:
    """`name` is "" for the session itself. `live` are its positions open or on their way, `realised` the net profit of
    its closes of the day, by pos_id; `means` what its limits in per cent and in R are measured by."""

    name: str
    limits: RiskLimits | ScopeLimits
    live: Sequence[RiskHolding]
    tally: Tally
    realised: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, ClosedTrade] = field(default_factory=dict)
    strategy: str | None = None
    means: Callable[[], Means] = Means

    def profit_paise(self, symbol: str | None = None) -> int:
        """The day's realised net and the open positions' gross profit at their last marks; in one symbol, or all."""
        realised = (
            net for pos_id, net in self.realised.items() if symbol is None or self._symbol_of(pos_id) == symbol
        )  # fmt: skip
        unrealised = (
            holding.unrealised_paise for holding in self.live if holding.open and symbol in (None, holding.symbol)
        )
        return sum(realised) + sum(unrealised)

    def symbols(self) -> Iterator[str]:
        """Each symbol with a profit today, once."""
        held = (holding.symbol for holding in self.live if holding.open)
        over = (symbol for pos_id in self.realised if (symbol := self._symbol_of(pos_id)) is not None)
        yield from dict.fromkeys((*held, *over))

    def _symbol_of(self, pos_id: str) -> str | None:
        """None for a close of before symbols were kept."""
        trade = self.closed.get(pos_id)
        return None if trade is None else trade.symbol


def own_scopes(state: RiskState, terms: SessionTerms) -> Iterator[RiskScope]:
    """The session, and each of its strategies that has limits."""
    live = state.live()
    yield session_scope(state, terms, live)
    for strategy, limits in terms.strategy_limits.items():
        yield _strategy_scope(state, terms, live, strategy, limits)


def scopes_around(
    state: RiskState, situation: Situation, live: Sequence[RiskHolding], *, strategy: str
) -> Iterator[RiskScope]:
    """Those that an entry of this strategy is in."""
    terms = situation.terms
    yield session_scope(state, terms, live)
    limits = terms.strategy_limits.get(strategy)
    if limits is not None:
        yield _strategy_scope(state, terms, live, strategy, limits)
    for shared in situation.shared:
        yield shared_scope(shared, state)


def shared_scope(shared: SharedLimits, *states: RiskState) -> RiskScope:
    """Limits over several sessions: the others' states with these."""
    every = (*shared.others, *states)
    return RiskScope(
        shared.name, shared.limits, [holding for state in every for holding in state.live()], _together(every),
        {pos_id: net for state in every for pos_id, net in state.realised.items()},
        {pos_id: trade for state in every for pos_id, trade in state.closed.items()}, means=lambda: shared.means,
    )  # fmt: skip


def _together(states: Sequence[RiskState]) -> StrategyDay:
    """Losses in a row are a session's or a strategy's: over several they have no order."""
    trades: dict[str, int] = {}
    last_ns: dict[str, int] = {}
    for state in states:
        for symbol, count in state.trades.items():
            trades[symbol] = trades.get(symbol, 0) + count
        for symbol, ts_ns in state.last_trade_ns.items():
            last_ns[symbol] = max(ts_ns, last_ns.get(symbol, 0))
    return StrategyDay(
        trades=trades, last_trade_ns=last_ns,
        approvals_ns=tuple(sorted(ts_ns for state in states for ts_ns in state.approvals_ns)),
    )  # fmt: skip


def session_scope(state: RiskState, terms: SessionTerms, live: Sequence[RiskHolding]) -> RiskScope:
    return RiskScope("", terms.limits, live, state, state.realised, state.closed)


def _strategy_scope(
    state: RiskState, terms: SessionTerms, live: Sequence[RiskHolding], strategy: str, limits: ScopeLimits
) -> RiskScope:  # fmt: skip
    closed = {pos_id: trade for pos_id, trade in state.closed.items() if trade.strategy == strategy}
    return RiskScope(
        f"strategy {strategy}", limits, [one for one in live if one.strategy == strategy],
        state.strategies.get(strategy, _NOTHING_YET),
        {pos_id: state.realised[pos_id] for pos_id in closed if pos_id in state.realised}, closed, strategy,
        partial(terms.means_of, strategy),
    )  # fmt: skip
