"""The session's first moment for entries, or the market's."""

from tradebus.risk.rules.ask import EntryProposal, block, clock
from tradebus.risk.verdicts import RuleFinding


def safe_trading_start(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns >= ask.hours.entry_start_ns:
        return None
    return block("safe_trading_start", f"{clock(ask.now_ns)} is before {clock(ask.hours.entry_start_ns)}")
