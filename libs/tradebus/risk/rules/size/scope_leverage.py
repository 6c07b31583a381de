"""What the positions of a scope may tie up together: its capital times its leverage, else times the sessions' own."""

from tradebus.risk.rules.scopes import RiskScope
from tradebus.trading.size.sizing import leveraged_paise


def scope_leveraged_paise(scope: RiskScope) -> int:
    means, leverage = scope.means(), scope.limits.max_leverage
    return means.leveraged_paise if leverage is None else leveraged_paise(means.capital_paise, leverage)
