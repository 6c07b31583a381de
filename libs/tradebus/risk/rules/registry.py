"""The rules an entry must pass, in this order; the first that objects decides and gives its name. Sizing comes last.

    kill_switch ─► session_stopping ─► session_halted ─► session_paused ─► stale_signal ─► data_gap ─►
    market_closed ─► safe_trading_start ─► safe_trading_end ─► hard_trading_end ─► invalid_stop ─► invalid_target ─►
    daily_max_loss / daily_max_loss_pct ─► consecutive_losses_limit ─► duplicate_position ─► opposite_position ─►
    max_concurrent_trades ─► max_trades_per_symbol_per_day ─► cooldown_seconds ─► sizing

Whether the session trades at all comes before whether this signal is any good, that before what the portfolio bears.
Reservations (approved, not yet opened) count as positions in every rule, so that two signals of one instant cannot
both pass a limit.
"""

from tradebus.risk.rules import data, frequency, losses, positions, prices, session, timing
from tradebus.risk.rules.ask import EntryProposal, Rule
from tradebus.risk.verdicts import RuleFinding

ENTRY_RULES: tuple[Rule, ...] = (
    session.kill_switch,
    session.session_stopping,
    session.session_halted,
    session.session_paused,
    data.stale_signal,
    data.data_gap,
    timing.market_closed,
    timing.safe_trading_start,
    timing.safe_trading_end,
    timing.hard_trading_end,
    prices.invalid_stop,
    prices.invalid_target,
    losses.daily_max_loss,
    losses.consecutive_losses_limit,
    positions.duplicate_position,
    positions.opposite_position,
    positions.max_concurrent_trades,
    frequency.max_trades_per_symbol_per_day,
    frequency.cooldown_seconds,
)


def first_objection(ask: EntryProposal) -> RuleFinding | None:
    """The first rule's finding against the entry, None where all let it pass."""
    for rule in ENTRY_RULES:
        found = rule(ask)
        if found is not None:
            return found
    return None
