"""Entries are made while the contract trades continuously."""

from tradebus.kernel.time import ist_date
from tradebus.risk.rules.ask import EntryProposal, block, clock
from tradebus.risk.verdicts import RuleFinding


def market_closed(ask: EntryProposal) -> RuleFinding | None:
    instrument, day = ask.situation.instruments[ask.signal.instrument], ist_date(ask.now_ns)
    expiry, hours = instrument.expiry, ask.hours
    if expiry is not None and (expiry < day or (expiry == day and hours and ask.now_ns >= hours.windows[-1][1])):
        return block("contract_expired", f"the last day of {instrument.symbol} was {expiry}")
    if ask.hours is None:
        return block("market_closed", "no trading session on this day")
    if any(start <= ask.now_ns < end for start, end in ask.hours.windows):
        return None
    open_ = ", ".join(f"{clock(start)} to {clock(end)}" for start, end in ask.hours.windows)
    return block("market_closed", f"no continuous trading at {clock(ask.now_ns)}; it is {open_}")
