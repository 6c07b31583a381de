"""The session's last moment for entries, or the market's."""

from tradebus.risk.rules.ask import EntryProposal, beside_session, block, clock
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.terms import clock_ns
from tradebus.risk.verdicts import RuleFinding


def safe_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.entry_end_ns:
        return None if len(ask.scopes) == 1 else beside_session(ask, _judge)
    return block("safe_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.entry_end_ns)}")


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    at = scope.limits.safe_trading_end
    if at is None or ask.now_ns < clock_ns(at, ts_ns=ask.now_ns):
        return None
    return block("safe_trading_end", f"{clock(ask.now_ns)} is not before {at}")
