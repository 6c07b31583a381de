"""So many lots in one trade; of a group, in the leg that has the most."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal


def max_lots_per_trade(size: SizeProposal) -> Iterator[Room]:
    for scope in size.ask.scopes:
        limit = scope.limits.max_lots_per_trade
        if limit is not None:
            yield Room(limit // size.lots_per_step * size.step, scope=scope.name)
