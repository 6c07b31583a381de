"""What the session holds already, reservations counted."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def duplicate_position(ask: EntryProposal) -> RuleFinding | None:
    for holding in ask.live:
        same = (holding.strategy, holding.symbol) == (ask.signal.strategy, ask.signal.symbol)
        if same or holding.pos_id == ask.signal.pos_id:
            return block("duplicate_position", f"{holding.strategy} holds {holding.symbol} already: {holding.pos_id}")
    return None


def opposite_position(ask: EntryProposal) -> RuleFinding | None:
    for holding in ask.live:
        if holding.instrument == ask.signal.instrument and holding.side is not ask.signal.side:
            return block("opposite_position", f"{holding.strategy} is {holding.side} in {holding.symbol}")
    return None


def max_concurrent_trades(ask: EntryProposal) -> RuleFinding | None:
    limit, count = ask.situation.terms.limits.max_concurrent_trades, len(ask.live)
    if count + ask.legs_to_come < limit:
        return None
    more = f", {ask.legs_to_come + 1} legs are asked for" if ask.legs_to_come else ""
    return block("max_concurrent_trades", f"{count} of {limit} positions are taken{more}")
