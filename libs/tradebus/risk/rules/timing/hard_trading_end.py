"""From here on every position is closed."""

from tradebus.risk.rules.ask import EntryProposal, block, clock
from tradebus.risk.verdicts import RuleFinding


def hard_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.hard_end_ns:
        return None
    return block("hard_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.hard_end_ns)}")
