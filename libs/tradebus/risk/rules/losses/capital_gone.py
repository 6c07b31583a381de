"""The capital is gone: what the session had, earned and lost on all its days comes to nothing. It halts it, whatever
halted it before, and on every later day again before anything is entered."""

from tradebus.risk.rules.ask import EntryProposal, money
from tradebus.risk.state import RiskState
from tradebus.risk.terms import SessionTerms
from tradebus.risk.verdicts import RuleFinding, VerdictKind

CAPITAL_GONE = "capital_gone"


def capital_gone(ask: EntryProposal) -> RuleFinding | None:
    return gone_finding(ask.situation.terms, ask.state, total_paise=ask.state.total_paise())


def gone_finding(terms: SessionTerms, state: RiskState, *, total_paise: int) -> RuleFinding | None:
    """HALT where the capital with the profit of earlier days and of this one is nothing or less."""
    left_paise = terms.capital_paise + state.carried_paise + total_paise
    if left_paise > 0:
        return None
    detail = f"of {money(terms.capital_paise)} there is {money(left_paise)} left"
    return RuleFinding(VerdictKind.HALT, CAPITAL_GONE, detail)


def watched_loss_paise(terms: SessionTerms, state: RiskState) -> int | None:
    """The day's loss that marks are to be watched for: the tighter of the day's limit, until the session is halted, and
    of what there was when the day began. None once the capital is gone."""
    if state.halted_rule == CAPITAL_GONE:
        return None
    had_paise = terms.capital_paise + state.carried_paise
    if terms.max_loss is None or state.halted_rule is not None:
        return had_paise
    return min(terms.max_loss.limit_paise, had_paise)
