"""A signal is of the moment, or of no worth."""

from tradebus.risk.rules.ask import EntryProposal, block, seconds
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import RuleFinding


def stale_signal(ask: EntryProposal) -> RuleFinding | None:
    """Too far behind the market data, or so far ahead of it that one of the two clocks is wrong."""
    if is_timely(ask.now_ns, ask.situation):
        return None
    age, limit = seconds(ask.situation.data_ns - ask.now_ns), seconds(ask.situation.terms.max_signal_age_ns)
    return block("stale_signal", f"{age} older than the market data; limit {limit} either way")


def is_timely(ts_ns: int, situation: Situation) -> bool:
    """Whether an instant is near the market data's. Everything is, before the first data."""
    return not situation.data_ns or abs(situation.data_ns - ts_ns) <= situation.terms.max_signal_age_ns
