"""What is held and what is asked for need no more margin than there is capital, by the estimate of `trading.margin`."""

from collections.abc import Iterator

from tradebus.risk.rules.size.held_margin import held_margin_paise
from tradebus.risk.rules.size.room import Room, SizeProposal


def margin(size: SizeProposal) -> Iterator[Room]:
    held = size.held(size.ask.scopes[0])
    left = size.capital_paise - held_margin_paise(held)
    yield Room(left, max(1, size.margin_paise), is_money=True)


def max_margin_paise(size: SizeProposal) -> Iterator[Room]:
    for scope in size.ask.scopes:
        limit = scope.limits.max_margin_paise
        if limit is not None:
            left = limit - held_margin_paise(size.held(scope))
            yield Room(left, max(1, size.margin_paise), is_money=True, scope=scope.name)
