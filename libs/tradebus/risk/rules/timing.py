"""When an entry may be made: in the hours of its contract and of the session."""

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
    return block("market_closed", f"no continuous trading at {clock(ask.now_ns)}")


def safe_trading_start(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns >= ask.hours.entry_start_ns:
        return None
    return block("safe_trading_start", f"{clock(ask.now_ns)} is before {clock(ask.hours.entry_start_ns)}")


def safe_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.entry_end_ns:
        return None
    return block("safe_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.entry_end_ns)}")


def hard_trading_end(ask: EntryProposal) -> RuleFinding | None:
    if ask.hours is None or ask.now_ns < ask.hours.hard_end_ns:
        return None
    return block("hard_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.hard_end_ns)}")
