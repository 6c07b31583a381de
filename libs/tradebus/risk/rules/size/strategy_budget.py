"""A strategy's positions together tie up no more than its budget times the leverage."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal
from tradebus.trading.size.sizing import leveraged_paise


def strategy_budget(size: SizeProposal) -> Iterator[Room]:
    terms, strategy = size.ask.situation.terms, size.ask.signal.strategy
    budget_paise = terms.strategy_budgets_paise.get(strategy)
    if budget_paise is None:
        return
    own = [holding for holding in size.held(size.ask.scopes[0]) if holding.strategy == strategy]
    left = leveraged_paise(budget_paise, terms.limits.max_leverage) - sum(one.exposure_paise for one in own)
    yield Room(left, size.price_paise, is_money=True, scope=f"strategy {strategy}")
