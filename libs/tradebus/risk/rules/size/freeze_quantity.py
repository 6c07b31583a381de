"""What an entry may have by what the exchange takes in one order: so many of them for one contract, one for each leg
of a group."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal


def freeze_quantity(size: SizeProposal) -> Iterator[Room]:
    if size.freeze_quantity is not None:
        yield Room(size.freeze_quantity)
