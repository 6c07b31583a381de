"""What limits hold over: the session, a strategy of it, and what several sessions share (an account, all of them).

    session ("")    its own limits
    strategy orb    the limits its START gave the strategy
    account …, all  the operator's, over every session that trades there

Every rule that counts asks each scope in turn; the tightest decides.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tradebus.contracts.sessions import RiskLimits, ScopeLimits
from tradebus.risk.state import ClosedTrade, RiskHolding, RiskState, StrategyDay
from tradebus.risk.terms import SessionTerms

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
    its closes of the day, by pos_id."""

    name: str
    limits: RiskLimits | ScopeLimits
    live: Sequence[RiskHolding]
    tally: Tally
    realised: Mapping[str, int] = field(default_factory=dict)
    closed: Mapping[str, ClosedTrade] = field(default_factory=dict)
    strategy: str | None = None

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
        yield _strategy_scope(state, live, strategy, limits)


def scopes_around(
    state: RiskState, terms: SessionTerms, live: Sequence[RiskHolding], *, strategy: str
) -> Iterator[RiskScope]:
    """Those of the session that an entry of this strategy is in."""
    yield session_scope(state, terms, live)
    limits = terms.strategy_limits.get(strategy)
    if limits is not None:
        yield _strategy_scope(state, live, strategy, limits)


def session_scope(state: RiskState, terms: SessionTerms, live: Sequence[RiskHolding]) -> RiskScope:
    return RiskScope("", terms.limits, live, state, state.realised, state.closed)


def _strategy_scope(
    state: RiskState, live: Sequence[RiskHolding], strategy: str, limits: ScopeLimits
) -> RiskScope:  # fmt: skip
    closed = {pos_id: trade for pos_id, trade in state.closed.items() if trade.strategy == strategy}
    return RiskScope(
        f"strategy {strategy}", limits, [one for one in live if one.strategy == strategy],
        state.strategies.get(strategy, _NOTHING_YET),
        {pos_id: state.realised[pos_id] for pos_id in closed if pos_id in state.realised}, closed, strategy,
    )  # fmt: skip
