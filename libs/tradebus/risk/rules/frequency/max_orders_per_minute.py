"""So many entries within any sixty seconds; every leg is one."""

from tradebus.risk.rules.ask import EntryProposal, block, clock, in_scopes
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.state import APPROVALS_KEPT_NS
from tradebus.risk.verdicts import RuleFinding


def max_orders_per_minute(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.max_orders_per_minute
    if limit is None:
        return None
    within = sorted(ts_ns for ts_ns in scope.tally.approvals_ns if ask.now_ns - ts_ns < APPROVALS_KEPT_NS)
    if len(within) + ask.legs_to_come < limit:
        return None
    asked = f", {ask.legs_to_come + 1} are asked for" if ask.legs_to_come else ""
    again = f": again at {clock(within[-limit] + APPROVALS_KEPT_NS)}" if len(within) >= limit else ""
    detail = f"{len(within)} of {limit} entries of the last 60 s are made{asked}{again}"
    return block("max_orders_per_minute", detail)
