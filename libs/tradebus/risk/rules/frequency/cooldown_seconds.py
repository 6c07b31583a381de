"""A pause in a symbol after an entry, from its approval on, and after a close."""

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.risk.rules.ask import EntryProposal, block, clock, in_scopes, seconds
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def cooldown_seconds(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    symbol, wait = ask.signal.symbol, scope.limits.cooldown_seconds
    if wait is None:
        return None
    limit_ns = wait * NANOSECONDS_PER_SECOND
    stamps = [holding.approved_ns for holding in scope.live if holding.symbol == symbol]
    if symbol in scope.tally.last_trade_ns:
        stamps.append(scope.tally.last_trade_ns[symbol])
    if not stamps or ask.now_ns - max(stamps) >= limit_ns:
        return None
    last, after = clock(max(stamps)), clock(max(stamps) + limit_ns)
    return block("cooldown_seconds", f"last trade in {symbol} at {last}; limit {seconds(limit_ns)}: again at {after}")
