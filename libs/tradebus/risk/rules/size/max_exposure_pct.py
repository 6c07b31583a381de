"""All positions together tie up no more than a share of the capital times the leverage."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal
from tradebus.trading.size.sizing import leveraged_paise


def max_exposure_pct(size: SizeProposal) -> Iterator[Room]:
    limits = size.ask.situation.terms.limits
    most = leveraged_paise(size.capital_paise, limits.max_leverage, limits.max_exposure_pct)
    yield Room(most - size.exposure_paise(size.ask.scopes[0]), size.price_paise, is_money=True)
