"""What the exchange takes in one order of the contract."""

from collections.abc import Iterator

from tradebus.risk.rules.size.room import Room, SizeProposal


def freeze_quantity(size: SizeProposal) -> Iterator[Room]:
    if size.freeze_quantity is not None:
        yield Room(size.freeze_quantity)
