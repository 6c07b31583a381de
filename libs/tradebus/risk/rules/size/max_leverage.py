"""This position alone ties up no more than the session's capital times the leverage; all of a scope together no more
than the scope's."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal
from tradebus.risk.rules.size.scope_leverage import scope_leveraged_paise
from tradebus.trading.size.sizing import leveraged_paise


def max_leverage(size: SizeProposal) -> Iterator[Room]:
    leverage = size.ask.situation.terms.limits.max_leverage
    yield Room(leveraged_paise(size.capital_paise, leverage), size.price_paise, is_money=True)
    for scope in size.ask.scopes[1:]:
        if scope.limits.max_leverage is not None:
            left = scope_leveraged_paise(scope) - size.exposure_paise(scope)
            yield Room(left, size.price_paise, is_money=True, scope=scope.name)
