"""All positions together tie up no more than an amount: of the session, a strategy, an account, all."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal


def max_exposure_paise(size: SizeProposal) -> Iterator[Room]:
    for scope in size.ask.scopes:
        limit = scope.limits.max_exposure_paise
        if limit is not None:
            left = limit - size.exposure_paise(scope)
            yield Room(left, size.price_paise, is_money=True, scope=scope.name)
