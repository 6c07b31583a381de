"""A strategy has one trade in a symbol."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def duplicate_position(ask: EntryProposal) -> RuleFinding | None:
    for holding in ask.live:
        same = (holding.strategy, holding.symbol) == (ask.signal.strategy, ask.signal.symbol)
        if same or holding.pos_id == ask.signal.pos_id:
            return block("duplicate_position", f"{holding.strategy} holds {holding.symbol} already: {holding.pos_id}")
    return None
