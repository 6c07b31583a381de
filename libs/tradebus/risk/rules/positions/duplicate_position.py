"""A strategy has one trade in a symbol."""

from tradebus.risk.rules.ask import EntryProposal, block, clock
from tradebus.risk.verdicts import RuleFinding


def duplicate_position(ask: EntryProposal) -> RuleFinding | None:
    for holding in ask.live:
        same = (holding.strategy, holding.symbol) == (ask.signal.strategy, ask.signal.symbol)
        if same or holding.pos_id == ask.signal.pos_id:
            # Not by its id, which differs from run to run.
            since = "on its way" if holding.opened_ns is None else f"since {clock(holding.opened_ns)}"
            detail = f"{holding.strategy} has a trade in {holding.symbol} already, {since}: that one ends first"
            return block("duplicate_position", detail)
    return None
