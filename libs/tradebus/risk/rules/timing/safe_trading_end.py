"""The session's last moment for entries, or the market's."""

from tradebus.risk.rules.ask import EntryProposal, block, clock
from tradebus.risk.verdicts import RuleFinding


def safe_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.entry_end_ns:
        return None
    return block("safe_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.entry_end_ns)}")
