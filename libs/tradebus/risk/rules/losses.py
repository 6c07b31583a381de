"""What the day has lost."""

from tradebus.risk.rules.ask import EntryProposal, money
from tradebus.risk.state import RiskState
from tradebus.risk.terms import SessionTerms
from tradebus.risk.verdicts import RuleFinding, VerdictKind


def daily_max_loss(ask: EntryProposal) -> RuleFinding | None:
    return loss_finding(ask.situation.terms, total_paise=ask.state.total_paise())


def consecutive_losses_limit(ask: EntryProposal) -> RuleFinding | None:
    return streak_finding(ask.situation.terms, ask.state)


def loss_finding(terms: SessionTerms, *, total_paise: int) -> RuleFinding | None:
    """HALT where the day's profit is at or below minus the limit."""
    if terms.max_loss is None or total_paise > -terms.max_loss.limit_paise:
        return None
    detail = f"the day stands at {money(total_paise)}; limit {money(-terms.max_loss.limit_paise)}"
    return RuleFinding(VerdictKind.HALT, terms.max_loss.rule, detail)


def streak_finding(terms: SessionTerms, state: RiskState) -> RuleFinding | None:
    """HALT where as many trades in a row lost money as are allowed."""
    limit = terms.limits.consecutive_losses_limit
    if limit is None or state.consecutive_losses < limit:
        return None
    return RuleFinding(
        VerdictKind.HALT, "consecutive_losses_limit", f"{state.consecutive_losses} losses in a row; limit {limit}"
    )
