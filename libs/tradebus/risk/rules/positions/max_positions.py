"""So many instruments at a time, whoever trades them."""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def max_positions(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.max_positions
    if limit is None:
        return None
    held = {holding.instrument for holding in scope.live}
    wanted = len(held | {ask.signal.instrument}) + ask.legs_to_come
    if wanted <= limit:
        return None
    return block("max_positions", f"{len(held)} instruments are held, {wanted} with this; limit {limit}")
