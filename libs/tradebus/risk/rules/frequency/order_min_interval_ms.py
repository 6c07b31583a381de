"""The least time between two entries. The legs of a group are one entry."""

from tradebus.kernel.time import NANOSECONDS_PER_MILLISECOND
from tradebus.risk.rules.ask import EntryProposal, block, clock, in_scopes
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def order_min_interval_ms(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit = scope.limits.order_min_interval_ms
    stamps = scope.tally.approvals_ns
    if limit is None or not stamps or ask.goes_on_with_a_group:
        return None
    last_ns = max(stamps)
    if ask.now_ns - last_ns >= limit * NANOSECONDS_PER_MILLISECOND:
        return None
    since = (ask.now_ns - last_ns) // NANOSECONDS_PER_MILLISECOND
    return block("order_min_interval_ms", f"{since} ms after the entry of {clock(last_ns)}; limit {limit} ms")
