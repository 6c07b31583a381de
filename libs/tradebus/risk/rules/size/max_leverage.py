"""This position alone ties up no more than the capital times the leverage."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal
from tradebus.trading.size.sizing import leveraged_paise


def max_leverage(size: SizeProposal) -> Iterator[Room]:
    leverage = size.ask.situation.terms.limits.max_leverage
    yield Room(leveraged_paise(size.capital_paise, leverage), size.price_paise, is_money=True)
