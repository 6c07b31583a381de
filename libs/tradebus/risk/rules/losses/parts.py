"""Which parts of a session (a strategy, a symbol) have lost what they may: they are halted for the day and closed.

A part is named in `RiskState.halted_parts` by `part_name`. Judged at the end of every batch of ticks, and at every
close; a part that is halted already is not found again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tradebus.risk.rules.losses.consecutive_losses_limit import scope_streak
from tradebus.risk.rules.losses.daily_max_loss import scope_loss
from tradebus.risk.rules.losses.symbol_max_loss import scope_symbol_loss
from tradebus.risk.rules.scopes import RiskScope, own_scopes
from tradebus.risk.state import RiskHolding, RiskState, part_name
from tradebus.risk.terms import SessionTerms


@dataclass(frozen=True, slots=True)
class LostPart:
    """A part that has reached a limit. None: whatever strategy, whatever symbol."""

    rule: str
    detail: str
    strategy: str | None
    symbol: str | None

    @property
    def name(self) -> str:
        return part_name(strategy=self.strategy, symbol=self.symbol)

    def holds(self, holding: RiskHolding) -> bool:
        return self.strategy in (None, holding.strategy) and self.symbol in (None, holding.symbol)


def lost_parts(state: RiskState, terms: SessionTerms) -> list[LostPart]:
    """Every part that has newly reached a limit."""
    if not terms.has_part_limits:
        return []
    found = [part for scope in own_scopes(state, terms) for part in _of_scope(scope)]
    return [part for part in found if part.name not in state.halted_parts]


def _of_scope(scope: RiskScope) -> Iterator[LostPart]:
    if scope.strategy is not None:
        loss, streak = scope_loss(scope), scope_streak(scope)
        if loss is not None:
            yield LostPart(loss.rule, loss.detail, scope.strategy, None)
        if streak is not None:
            yield LostPart("consecutive_losses_limit", streak, scope.strategy, None)
    for symbol in scope.symbols():
        lost = scope_symbol_loss(scope, symbol)
        if lost is not None:
            yield LostPart("symbol_max_loss", lost, scope.strategy, symbol)
