"""A strategy or a symbol that has reached its own limit stays out for the day; the rest of the session goes on."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.state import halted_part_of
from tradebus.risk.verdicts import RuleFinding


def part_halted(ask: EntryProposal) -> RuleFinding | None:
    found = halted_part_of(ask.state, strategy=ask.signal.strategy, symbol=ask.signal.symbol)
    return block(found[1], f"{found[0]} is halted for the day by {found[1]}") if found is not None else None
