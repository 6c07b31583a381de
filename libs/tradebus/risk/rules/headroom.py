"""How far a session is from each of its limits, so that nobody learns of one by running into it.

Invariant, property-tested: where a limit on what is held has no room, nothing more gets in; `used` of a day's loss is
what is lost, 0 while the day stands above nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tradebus.risk.rules.losses.daily_max_loss import scope_limit
from tradebus.risk.rules.scopes import RiskScope, own_scopes, shared_scope
from tradebus.risk.rules.size.held_margin import held_margin_paise
from tradebus.risk.rules.size.scope_leverage import scope_leveraged_paise
from tradebus.risk.state import APPROVALS_KEPT_NS, RiskState
from tradebus.risk.terms import SessionTerms, SharedLimits
from tradebus.trading.size.sizing import leveraged_paise

PAISE, COUNT = "paise", "count"


@dataclass(frozen=True, slots=True)
class Headroom:
    """One limit: `used` of `most`, in paise or a count. `scope` is "" for the session; `limit` the rule's name."""

    scope: str
    limit: str
    used: int
    most: int
    unit: str

    @property
    def left(self) -> int:
        return max(0, self.most - self.used)

    @property
    def share(self) -> float:
        """Used of most: 1 where there is none left."""
        return self.used / self.most if self.most > 0 else 1.0


def headroom(
    state: RiskState, terms: SessionTerms, *, now_ns: int, shared: Sequence[SharedLimits] = ()
) -> list[Headroom]:
    """Every limit that is set, the session's first, what it shares with others last. `now_ns` is what the last minute
    is counted back from."""
    found = list(_of_session(state, terms))
    for scope in (*own_scopes(state, terms), *(shared_scope(one, state) for one in shared)):
        found += _of_scope(scope, now_ns)
    return found


def _of_session(state: RiskState, terms: SessionTerms) -> Iterator[Headroom]:
    live, limits = state.live(), terms.limits
    if terms.max_loss is not None:
        yield Headroom("", terms.max_loss.rule, max(0, -state.total_paise()), terms.max_loss.limit_paise, PAISE)
    most = leveraged_paise(terms.capital_paise, limits.max_leverage, limits.max_exposure_pct)
    yield Headroom("", "max_exposure_pct", sum(one.exposure_paise for one in live), most, PAISE)
    yield Headroom("", "margin", held_margin_paise(live), terms.capital_paise, PAISE)
    for strategy, budget_paise in terms.strategy_budgets_paise.items():
        used = sum(one.exposure_paise for one in live if one.strategy == strategy)
        most = leveraged_paise(budget_paise, limits.max_leverage)
        yield Headroom(f"strategy {strategy}", "strategy_budget", used, most, PAISE)


def _of_scope(scope: RiskScope, now_ns: int) -> Iterator[Headroom]:
    limits, tally, live = scope.limits, scope.tally, scope.live
    lately = sum(now_ns - ts_ns < APPROVALS_KEPT_NS for ts_ns in tally.approvals_ns)
    most_traded = max(tally.trades.values(), default=0)
    worst_symbol = max((-scope.profit_paise(symbol) for symbol in scope.symbols()), default=0)
    counted = {
        "consecutive_losses_limit": (tally.consecutive_losses, limits.consecutive_losses_limit),
        "max_concurrent_trades": (len(live), limits.max_concurrent_trades),
        "max_positions": (len({one.instrument for one in live}), limits.max_positions),
        "max_trades_per_symbol_per_day": (most_traded, limits.max_trades_per_symbol_per_day),
        "max_orders_per_minute": (lately, limits.max_orders_per_minute),
    }
    money = {
        "symbol_max_loss": (max(0, worst_symbol), limits.symbol_max_loss_paise),
        "max_exposure_paise": (sum(one.exposure_paise for one in live), limits.max_exposure_paise),
        "max_margin_paise": (held_margin_paise(live), limits.max_margin_paise),
    }
    if scope.name:
        money |= _of_part(scope)
    for unit, of_unit in ((COUNT, counted), (PAISE, money)):
        for name, (used, most) in of_unit.items():
            if most is not None:
                yield Headroom(scope.name, name, used, most, unit)


def _of_part(scope: RiskScope) -> dict[str, tuple[int, int | None]]:
    """What a session has of its own (`_of_session`), of a part of it or of several."""
    loss, share = scope_limit(scope), scope.limits.max_exposure_pct
    tied_paise = sum(one.exposure_paise for one in scope.live)
    found: dict[str, tuple[int, int | None]] = {}
    if loss is not None:
        found[loss.rule] = (max(0, -scope.profit_paise()), loss.limit_paise)
    if scope.limits.max_leverage is not None:
        found["max_leverage"] = (tied_paise, scope_leveraged_paise(scope))
    if share is not None:
        found["max_exposure_pct"] = (tied_paise, leveraged_paise(scope_leveraged_paise(scope), 1.0, share))
    return found
