"""A decision made while prices were missing is made again once they are known."""

from tradebus.risk.rules.ask import EntryProposal, block
from tradebus.risk.verdicts import RuleFinding


def data_gap(ask: EntryProposal) -> RuleFinding | None:
    if ask.signal.instrument not in ask.situation.gaps:
        return None
    return block("data_gap", f"market data of {ask.signal.symbol} is missing: entries wait until it is filled")
