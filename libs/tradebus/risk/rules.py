"""The rules an entry must pass, in this order; the first that objects decides and gives its name. Sizing comes last.

    kill_switch ─► session_stopping ─► session_halted ─► session_paused ─► stale_signal ─► market_closed ─►
    safe_trading_start ─► safe_trading_end ─► hard_trading_end ─► invalid_stop ─► invalid_target ─►
    daily_max_loss / daily_max_loss_pct ─► consecutive_losses_limit ─► duplicate_position ─► opposite_position ─►
    max_concurrent_trades ─► max_trades_per_symbol_per_day ─► cooldown_seconds ─► sizing

Whether the session trades at all comes before whether this signal is any good, that before what the portfolio bears.
Reservations (approved, not yet opened) count as positions in every rule, so that two signals of one instant cannot
both pass a limit.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tradebus.kernel.money import format_rupees
from tradebus.kernel.time import NANOSECONDS_PER_SECOND, ist_time
from tradebus.risk.state import RiskState
from tradebus.risk.terms import Hours, Situation, Terms
from tradebus.risk.verdicts import Finding, Kind
from tradebus.trading.facts import EntrySignal


@dataclass(frozen=True, slots=True)
class Ask:
    """An entry signal with everything the rules look at. Prices are rounded to the instrument's tick."""

    signal: EntrySignal
    state: RiskState
    situation: Situation
    hours: Hours | None
    price_paise: int
    stop_paise: int
    target_paise: int | None

    @property
    def now_ns(self) -> int:
        return self.signal.ts_event_ns


Rule = Callable[[Ask], Finding | None]


def first_objection(ask: Ask) -> Finding | None:
    """The first rule's finding against the entry, None where all let it pass."""
    for rule in ENTRY_RULES:
        found = rule(ask)
        if found is not None:
            return found
    return None


def kill_switch(ask: Ask) -> Finding | None:
    return _block("kill_switch", "the kill switch is engaged") if ask.situation.killed else None


def session_stopping(ask: Ask) -> Finding | None:
    return _block("session_stopping", "the session is being stopped") if ask.state.stopping else None


def session_halted(ask: Ask) -> Finding | None:
    rule = ask.state.halted_rule
    return _block("session_halted", f"halted for the day by {rule}") if rule is not None else None


def session_paused(ask: Ask) -> Finding | None:
    return _block("session_paused", "the session is paused") if ask.state.paused else None


def stale_signal(ask: Ask) -> Finding | None:
    """Too far behind the market data, or so far ahead of it that one of the two clocks is wrong."""
    if is_timely(ask.now_ns, ask.situation):
        return None
    age, limit = _seconds(ask.situation.data_ns - ask.now_ns), _seconds(ask.situation.terms.max_signal_age_ns)
    return _block("stale_signal", f"{age} older than the market data; limit {limit} either way")


def market_closed(ask: Ask) -> Finding | None:
    if ask.hours is None:
        return _block("market_closed", "no trading session on this day")
    if any(start <= ask.now_ns < end for start, end in ask.hours.windows):
        return None
    return _block("market_closed", f"no continuous trading at {_clock(ask.now_ns)}")


def safe_trading_start(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns >= ask.hours.entry_start_ns:
        return None
    return _block("safe_trading_start", f"{_clock(ask.now_ns)} is before {_clock(ask.hours.entry_start_ns)}")


def safe_trading_end(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns < ask.hours.entry_end_ns:
        return None
    return _block("safe_trading_end", f"{_clock(ask.now_ns)} is not before {_clock(ask.hours.entry_end_ns)}")


def hard_trading_end(ask: Ask) -> Finding | None:
    if ask.hours is None or ask.now_ns < ask.hours.hard_end_ns:
        return None
    return _block("hard_trading_end", f"{_clock(ask.now_ns)} is not before {_clock(ask.hours.hard_end_ns)}")


def invalid_stop(ask: Ask) -> Finding | None:
    """The stop must stand where the position loses: zero risk cannot be sized and would close it at once."""
    side = ask.signal.side
    if ask.stop_paise > 0 and side.sign * (ask.price_paise - ask.stop_paise) > 0:
        return None
    return _block("invalid_stop", f"{side} at {_money(ask.price_paise)} with its stop at {_money(ask.stop_paise)}")


def invalid_target(ask: Ask) -> Finding | None:
    if ask.target_paise is None or ask.signal.side.sign * (ask.target_paise - ask.price_paise) > 0:
        return None
    side, price, target = ask.signal.side, _money(ask.price_paise), _money(ask.target_paise)
    return _block("invalid_target", f"{side} at {price} with its target at {target}")


def daily_max_loss(ask: Ask) -> Finding | None:
    return loss_finding(ask.situation.terms, total_paise=ask.state.total_paise())


def consecutive_losses_limit(ask: Ask) -> Finding | None:
    return streak_finding(ask.situation.terms, ask.state)


def duplicate_position(ask: Ask) -> Finding | None:
    for holding in ask.state.live():
        same = (holding.strategy, holding.symbol) == (ask.signal.strategy, ask.signal.symbol)
        if same or holding.pos_id == ask.signal.pos_id:
            return _block("duplicate_position", f"{holding.strategy} holds {holding.symbol} already: {holding.pos_id}")
    return None


def opposite_position(ask: Ask) -> Finding | None:
    for holding in ask.state.live():
        if holding.instrument == ask.signal.instrument and holding.side is not ask.signal.side:
            return _block("opposite_position", f"{holding.strategy} is {holding.side} in {holding.symbol}")
    return None


def max_concurrent_trades(ask: Ask) -> Finding | None:
    limit, count = ask.situation.terms.limits.max_concurrent_trades, len(ask.state.live())
    return _block("max_concurrent_trades", f"{count} of {limit} positions are taken") if count >= limit else None


def max_trades_per_symbol_per_day(ask: Ask) -> Finding | None:
    limit = ask.situation.terms.limits.max_trades_per_symbol_per_day
    count = ask.state.trades.get(ask.signal.symbol, 0)
    if count < limit:
        return None
    return _block("max_trades_per_symbol_per_day", f"{count} of {limit} trades in {ask.signal.symbol} are made")


def cooldown_seconds(ask: Ask) -> Finding | None:
    """After an entry, from its approval on, and after a close."""
    limit_ns = ask.situation.terms.limits.cooldown_seconds * NANOSECONDS_PER_SECOND
    symbol = ask.signal.symbol
    stamps = [holding.approved_ns for holding in ask.state.live() if holding.symbol == symbol]
    if symbol in ask.state.last_trade_ns:
        stamps.append(ask.state.last_trade_ns[symbol])
    if not stamps or ask.now_ns - max(stamps) >= limit_ns:
        return None
    return _block("cooldown_seconds", f"last trade in {symbol} at {_clock(max(stamps))}; limit {_seconds(limit_ns)}")


def is_timely(ts_ns: int, situation: Situation) -> bool:
    """Whether an instant is near the market data's. Everything is, before the first data."""
    return not situation.data_ns or abs(situation.data_ns - ts_ns) <= situation.terms.max_signal_age_ns


def loss_finding(terms: Terms, *, total_paise: int) -> Finding | None:
    """HALT where the day's profit is at or below minus the limit."""
    if terms.max_loss is None or total_paise > -terms.max_loss.limit_paise:
        return None
    detail = f"the day stands at {_money(total_paise)}; limit {_money(-terms.max_loss.limit_paise)}"
    return Finding(Kind.HALT, terms.max_loss.rule, detail)


def streak_finding(terms: Terms, state: RiskState) -> Finding | None:
    """HALT where as many trades in a row lost money as are allowed."""
    limit = terms.limits.consecutive_losses_limit
    if limit is None or state.consecutive_losses < limit:
        return None
    return Finding(Kind.HALT, "consecutive_losses_limit", f"{state.consecutive_losses} losses in a row; limit {limit}")


ENTRY_RULES: tuple[Rule, ...] = (
    kill_switch,
    session_stopping,
    session_halted,
    session_paused,
    stale_signal,
    market_closed,
    safe_trading_start,
    safe_trading_end,
    hard_trading_end,
    invalid_stop,
    invalid_target,
    daily_max_loss,
    consecutive_losses_limit,
    duplicate_position,
    opposite_position,
    max_concurrent_trades,
    max_trades_per_symbol_per_day,
    cooldown_seconds,
)


def _block(rule: str, detail: str) -> Finding:
    return Finding(Kind.BLOCK, rule, detail)


def _money(paise: int) -> str:
    return format_rupees(paise)


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / NANOSECONDS_PER_SECOND:g} s"


def _clock(ts_ns: int) -> str:
    return f"{ist_time(ts_ns):%H:%M:%S}"
