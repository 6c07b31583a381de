"""So many trades at a time: each strategy's in each symbol counts, and each leg."""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def max_concurrent_trades(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit, count = scope.limits.max_concurrent_trades, len(scope.live)
    if limit is None or count + ask.legs_to_come < limit:
        return None
    more = f", {ask.legs_to_come + 1} legs are asked for" if ask.legs_to_come else ""
    return block("max_concurrent_trades", f"{count} of {limit} positions are taken{more}")
