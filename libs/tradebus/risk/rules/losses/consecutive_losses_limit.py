"""Trades in a row that lost money: the session's halt it, a strategy's halt the strategy."""

from tradebus.risk.rules.ask import EntryProposal, beside_session, block
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.state import RiskState
from tradebus.risk.terms import SessionTerms
from tradebus.risk.verdicts import RuleFinding, VerdictKind


def consecutive_losses_limit(ask: EntryProposal) -> RuleFinding | None:
    found = streak_finding(ask.situation.terms, ask.state)
    return found or (None if len(ask.scopes) == 1 else beside_session(ask, _judge))


def streak_finding(terms: SessionTerms, state: RiskState) -> RuleFinding | None:
    """HALT where as many trades in a row lost money as are allowed."""
    limit = terms.limits.consecutive_losses_limit
    if limit is None or state.consecutive_losses < limit:
        return None
    return RuleFinding(
        VerdictKind.HALT, "consecutive_losses_limit", f"{state.consecutive_losses} losses in a row; limit {limit}"
    )


def scope_streak(scope: RiskScope) -> str | None:
    """How many losses in a row there are, where they reach the limit of a part of a session."""
    limit, count = scope.limits.consecutive_losses_limit, scope.tally.consecutive_losses
    return None if limit is None or count < limit else f"{count} losses in a row; limit {limit}"


def _judge(_: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    lost = scope_streak(scope)
    return None if lost is None else block("consecutive_losses_limit", lost)
