"""What a closed trade came to."""

from tradebus.execution.trade import Trade
from tradebus.trading.metrics import r_metrics


def settle(trade: Trade) -> int:
    """Writes net P&L, R, MAE and MFE into a flat trade; returns the gross P&L in paise."""
    figures = r_metrics(
        side=trade.side,
        quantity=trade.entry_quantity,
        entry_value_paise=trade.entry_value_paise,
        exit_value_paise=trade.exit_value_paise,
        charges_paise=trade.charges_paise,
        initial_stop_paise=trade.initial_stop_paise,
        highest_paise=trade.highest_paise,
        lowest_paise=trade.lowest_paise,
        expected_entry_paise=trade.expected_price_paise,
    )
    trade.net_pnl_paise = figures.realised_paise
    trade.r_multiple, trade.mae_r, trade.mfe_r = figures.r_multiple, figures.mae_r, figures.mfe_r
    return figures.realised_paise + trade.charges_paise
