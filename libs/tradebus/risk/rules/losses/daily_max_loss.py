"""The day's loss, realised and unrealised: absolute, in per cent of the capital, or in R.

The session's halts it; a strategy's halts the strategy; one over several sessions halts them all.
"""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes, money
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.terms import SessionTerms
from tradebus.risk.verdicts import RuleFinding, VerdictKind


def daily_max_loss(ask: EntryProposal) -> RuleFinding | None:
    found = loss_finding(ask.situation.terms, total_paise=ask.state.total_paise())
    return found or in_scopes(ask, _judge)


def loss_finding(terms: SessionTerms, *, total_paise: int) -> RuleFinding | None:
    """HALT where the day's profit is at or below minus the limit."""
    if terms.max_loss is None or total_paise > -terms.max_loss.limit_paise:
        return None
    detail = f"the day stands at {money(total_paise)}; limit {money(-terms.max_loss.limit_paise)}"
    return RuleFinding(VerdictKind.HALT, terms.max_loss.rule, detail)


def scope_loss(scope: RiskScope) -> str | None:
    """What is lost, where it reaches the limit of a part of a session or of several sessions."""
    limit = scope.limits.daily_max_loss_paise
    if limit is None or scope.profit_paise() > -limit:
        return None
    return f"the day stands at {money(scope.profit_paise())}; limit {money(-limit)}"


def _judge(_: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    if not scope.name:
        return None  # the session's own, with its percentage, is asked above
    lost = scope_loss(scope)
    return None if lost is None else block("daily_max_loss", lost)
