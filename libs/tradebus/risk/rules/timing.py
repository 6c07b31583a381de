"""When an entry may be made: near the market data, in the hours of its contract and of the session."""

from tradebus.risk.rules.ask import Ask, block, clock, seconds
from tradebus.risk.terms import Situation
from tradebus.risk.verdicts import Finding


def stale_signal(ask: Ask) -> Finding | None:
    """Too far behind the market data, or so far ahead of it that one of the two clocks is wrong."""
    if is_timely(ask.now_ns, ask.situation):
        return None
    age, limit = seconds(ask.situation.data_ns - ask.now_ns), seconds(ask.situation.terms.max_signal_age_ns)
    return block("stale_signal", f"{age} older than the market data; limit {limit} either way")


def market_closed(ask: Ask) -> Finding | None:
    if ask.hours is None:
        return block("market_closed", "no trading session on this day")
    if any(start <= ask.now_ns < end for start, end in ask.hours.windows):
        return None
    return block("market_closed", f"no continuous trading at {clock(ask.now_ns)}")


def safe_trading_start(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns >= ask.hours.entry_start_ns:
        return None
    return block("safe_trading_start", f"{clock(ask.now_ns)} is before {clock(ask.hours.entry_start_ns)}")


def safe_trading_end(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns < ask.hours.entry_end_ns:
        return None
    return block("safe_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.entry_end_ns)}")


def hard_trading_end(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns < ask.hours.hard_end_ns:
        return None
    return block("hard_trading_end", f"{clock(ask.now_ns)} is not before {clock(ask.hours.hard_end_ns)}")


def is_timely(ts_ns: int, situation: Situation) -> bool:
    """Whether an instant is near the market data's. Everything is, before the first data."""
    return not situation.data_ns or abs(situation.data_ns - ts_ns) <= situation.terms.max_signal_age_ns
