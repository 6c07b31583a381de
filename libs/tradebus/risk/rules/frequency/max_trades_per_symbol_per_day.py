"""So many trades in one symbol, those on their way counted."""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def max_trades_per_symbol_per_day(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    limit, count = scope.limits.max_trades_per_symbol_per_day, scope.tally.trades.get(ask.signal.symbol, 0)
    if limit is None or count < limit:
        return None
    return block("max_trades_per_symbol_per_day", f"{count} of {limit} trades in {ask.signal.symbol} are made")
