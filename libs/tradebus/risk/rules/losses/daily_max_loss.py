"""The day's loss, realised and unrealised: absolute, in per cent of the capital, or in R.

The session's halts it; a strategy's halts the strategy; one over several sessions halts them all.
"""

from tradebus.risk.rules.ask import EntryProposal, beside_session, block, money
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.terms import Loss, SessionTerms, tightest_loss
from tradebus.risk.verdicts import RuleFinding, VerdictKind


def daily_max_loss(ask: EntryProposal) -> RuleFinding | None:
    found = loss_finding(ask.situation.terms, total_paise=ask.state.total_paise())
    return found or (None if len(ask.scopes) == 1 else beside_session(ask, _judge))


def loss_finding(terms: SessionTerms, *, total_paise: int) -> RuleFinding | None:
    """HALT where the day's profit is at or below minus the limit."""
    if terms.max_loss is None or total_paise > -terms.max_loss.limit_paise:
        return None
    detail = f"the day stands at {money(total_paise)}; limit {money(-terms.max_loss.limit_paise)}"
    return RuleFinding(VerdictKind.HALT, terms.max_loss.rule, detail)


def scope_limit(scope: RiskScope) -> Loss | None:
    """The first limit on the day's loss of a part of a session, or of several sessions, that is reached."""
    limits = scope.limits
    if limits.daily_max_loss_pct is None and limits.daily_max_loss_r is None:
        amount = limits.daily_max_loss_paise
        return None if amount is None else Loss("daily_max_loss", amount)
    means = scope.means()
    return tightest_loss(limits, capital_paise=means.capital_paise, one_r_paise=means.one_r_paise)


def scope_loss(scope: RiskScope) -> RuleFinding | None:
    """What is lost, where it reaches the limit of a part of a session or of several sessions."""
    limit = scope_limit(scope)
    if limit is None or scope.profit_paise() > -limit.limit_paise:
        return None
    return block(limit.rule, f"the day stands at {money(scope.profit_paise())}; limit {money(-limit.limit_paise)}")


def _judge(_: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    return scope_loss(scope)
