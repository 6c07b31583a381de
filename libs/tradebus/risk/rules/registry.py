"""The rules an entry must pass, in this order; the first that objects decides and gives its name. Sizing comes last,
with rules of its own that leave it smaller (`size`).

Whether the session trades at all comes before whether this signal is any good, that before what the portfolio bears.
Reservations (approved, not yet opened) count as positions in every rule, so that two signals of one instant cannot
both pass a limit.
"""

from tradebus.risk.rules.ask import EntryProposal, Rule
from tradebus.risk.rules.data.atr_unknown import atr_unknown
from tradebus.risk.rules.data.data_gap import data_gap
from tradebus.risk.rules.data.max_data_age_seconds import max_data_age_seconds
from tradebus.risk.rules.data.stale_signal import stale_signal
from tradebus.risk.rules.frequency.cooldown_seconds import cooldown_seconds
from tradebus.risk.rules.frequency.max_orders_per_minute import max_orders_per_minute
from tradebus.risk.rules.frequency.max_trades_per_symbol_per_day import max_trades_per_symbol_per_day
from tradebus.risk.rules.frequency.order_min_interval_ms import order_min_interval_ms
from tradebus.risk.rules.losses.capital_gone import capital_gone
from tradebus.risk.rules.losses.consecutive_losses_limit import consecutive_losses_limit
from tradebus.risk.rules.losses.daily_max_loss import daily_max_loss
from tradebus.risk.rules.losses.symbol_max_loss import symbol_max_loss
from tradebus.risk.rules.positions.duplicate_position import duplicate_position
from tradebus.risk.rules.positions.max_concurrent_trades import max_concurrent_trades
from tradebus.risk.rules.positions.max_positions import max_positions
from tradebus.risk.rules.positions.opposite_position import opposite_position
from tradebus.risk.rules.prices.invalid_stop import invalid_stop
from tradebus.risk.rules.prices.invalid_target import invalid_target
from tradebus.risk.rules.prices.max_price_distance_pct import max_price_distance_pct
from tradebus.risk.rules.prices.max_slippage_bps import max_slippage_bps
from tradebus.risk.rules.session.kill_switch import kill_switch
from tradebus.risk.rules.session.part_halted import part_halted
from tradebus.risk.rules.session.session_halted import session_halted
from tradebus.risk.rules.session.session_paused import session_paused
from tradebus.risk.rules.session.session_stopping import session_stopping
from tradebus.risk.rules.timing.hard_trading_end import hard_trading_end
from tradebus.risk.rules.timing.market_closed import market_closed
from tradebus.risk.rules.timing.off_schedule import off_schedule
from tradebus.risk.rules.timing.safe_trading_end import safe_trading_end
from tradebus.risk.rules.timing.safe_trading_start import safe_trading_start
from tradebus.risk.verdicts import RuleFinding

ENTRY_RULES: tuple[Rule, ...] = (
    kill_switch,
    session_stopping,
    session_halted,
    session_paused,
    part_halted,
    stale_signal,
    data_gap,
    max_data_age_seconds,
    atr_unknown,
    market_closed,
    off_schedule,
    safe_trading_start,
    safe_trading_end,
    hard_trading_end,
    invalid_stop,
    invalid_target,
    max_price_distance_pct,
    max_slippage_bps,
    capital_gone,
    daily_max_loss,
    consecutive_losses_limit,
    symbol_max_loss,
    duplicate_position,
    opposite_position,
    max_concurrent_trades,
    max_positions,
    max_trades_per_symbol_per_day,
    cooldown_seconds,
    order_min_interval_ms,
    max_orders_per_minute,
)


def first_objection(ask: EntryProposal) -> RuleFinding | None:
    """The first rule's finding against the entry, None where all let it pass."""
    for rule in ENTRY_RULES:
        found = rule(ask)
        if found is not None:
            return found
    return None
