"""No strategy is long where another is short."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def opposite_position(ask: EntryProposal) -> RuleFinding | None:
    for holding in ask.live:
        if holding.instrument == ask.signal.instrument and holding.side is not ask.signal.side:
            return block("opposite_position", f"{holding.strategy} is {holding.side} in {holding.symbol}")
    return None
