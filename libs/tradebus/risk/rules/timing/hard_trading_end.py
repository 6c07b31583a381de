"""From here on every position is closed."""

from tradebus.risk.rules.ask import EntryProposal, beside_session, block, clock
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.terms import clock_ns
from tradebus.risk.verdicts import RuleFinding


def hard_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.hard_end_ns:
        return None if len(ask.scopes) == 1 else beside_session(ask, _judge)
    return block("hard_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.hard_end_ns)}")


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    at = scope.limits.hard_trading_end
    if at is None or ask.now_ns < clock_ns(at, ts_ns=ask.now_ns):
        return None
    return block("hard_trading_end", f"{clock(ask.now_ns)} is not before {at}")
