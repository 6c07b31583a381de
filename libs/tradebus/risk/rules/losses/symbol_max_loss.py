"""The day's loss in one symbol, realised and unrealised: the symbol is halted, and what is held of it is closed."""

from tradebus.risk.rules.ask import EntryProposal, block, in_scopes, money
from tradebus.risk.rules.scopes import RiskScope
from tradebus.risk.verdicts import RuleFinding


def symbol_max_loss(ask: EntryProposal) -> RuleFinding | None:
    return in_scopes(ask, _judge)


def scope_symbol_loss(scope: RiskScope, symbol: str) -> str | None:
    """What is lost in the symbol, where it reaches the limit."""
    limit = scope.limits.symbol_max_loss_paise
    if limit is None:
        return None
    profit = scope.profit_paise(symbol)
    return None if profit > -limit else f"{symbol} stands at {money(profit)} today; limit {money(-limit)}"


def _judge(ask: EntryProposal, scope: RiskScope) -> RuleFinding | None:
    lost = scope_symbol_loss(scope, ask.signal.symbol)
    return None if lost is None else block("symbol_max_loss", lost)
