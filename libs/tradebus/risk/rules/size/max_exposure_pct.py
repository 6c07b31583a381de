"""All positions together tie up no more than a share of the capital times the leverage: of the session, and of each
scope that says a share."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal
from tradebus.risk.rules.size.scope_leverage import scope_leveraged_paise
from tradebus.trading.size.sizing import leveraged_paise


def max_exposure_pct(size: SizeProposal) -> Iterator[Room]:
    limits = size.ask.situation.terms.limits
    most = leveraged_paise(size.capital_paise, limits.max_leverage, limits.max_exposure_pct)
    yield Room(most - size.exposure_paise(size.ask.scopes[0]), size.price_paise, is_money=True)
    for scope in size.ask.scopes[1:]:
        share = scope.limits.max_exposure_pct
        if share is not None:
            left = leveraged_paise(scope_leveraged_paise(scope), 1.0, share) - size.exposure_paise(scope)
            yield Room(left, size.price_paise, is_money=True, scope=scope.name)
