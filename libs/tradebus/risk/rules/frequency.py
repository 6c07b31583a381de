"""How often a symbol is traded."""

from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.risk.rules.ask import EntryProposal, block, clock, seconds
from tradebus.risk.verdicts import RuleFinding


def max_trades_per_symbol_per_day(ask: EntryProposal) -> RuleFinding | None:
    limit = ask.situation.terms.limits.max_trades_per_symbol_per_day
    count = ask.state.trades.get(ask.signal.symbol, 0)
    if count < limit:
        return None
    return block("max_trades_per_symbol_per_day", f"{count} of {limit} trades in {ask.signal.symbol} are made")


def cooldown_seconds(ask: EntryProposal) -> RuleFinding | None:
    """After an entry, from its approval on, and after a close."""
    limit_ns = ask.situation.terms.limits.cooldown_seconds * NANOSECONDS_PER_SECOND
    symbol = ask.signal.symbol
    stamps = [holding.approved_ns for holding in ask.live if holding.symbol == symbol]
    if symbol in ask.state.last_trade_ns:
        stamps.append(ask.state.last_trade_ns[symbol])
    if not stamps or ask.now_ns - max(stamps) >= limit_ns:
        return None
    return block("cooldown_seconds", f"last trade in {symbol} at {clock(max(stamps))}; limit {seconds(limit_ns)}")
