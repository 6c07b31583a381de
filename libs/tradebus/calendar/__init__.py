"""Dated market rules, per contract. Takes a date, never today.

entry_days what a schedule leaves
sessions   when the market trades          expiries   when contracts expire       legality   what the exchange refuses
terms      one contract's terms, its hours lots       lots, freezes, ticks        rules      what holds in this process
"""

from tradebus.calendar.entry_days import days_to_expiry, left_out
from tradebus.calendar.expiries import front_month_expiry, monthly_expiry, nearest_expiry, weekly_expiry
from tradebus.calendar.legality import (
    AUCTION_PHASES,
    Legality,
    ProposedOrder,
    market_protection_required,
    order_legal,
    protection_band,
    protective_limit_paise,
    time_legal,
    values_legal,
)
from tradebus.calendar.lots import class_of_share, freeze_quantity_of, lot_size, market_of, tick_size_paise
from tradebus.calendar.rows import Market, MarketClass, Phase
from tradebus.calendar.rules import forgotten_on_install, parse_holidays
from tradebus.calendar.sessions import (
    PhaseWindow,
    TradingSession,
    holiday_label,
    holidays_known,
    is_regular_day,
    is_settlement_day,
    is_trading_day,
    market_class_of,
    next_trading_day,
    previous_trading_day,
    session_for,
    settlement_day,
    stops_cancelled_ns,
)
from tradebus.calendar.terms import (
    Contract,
    Listed,
    contract_of,
    range_reset_ns,
    range_reset_pct,
    session_of,
    tick_of,
)

__all__ = [
    "AUCTION_PHASES",
    "Contract",
    "Legality",
    "Listed",
    "Market",
    "MarketClass",
    "Phase",
    "PhaseWindow",
    "ProposedOrder",
    "TradingSession",
    "class_of_share",
    "contract_of",
    "days_to_expiry",
    "forgotten_on_install",
    "freeze_quantity_of",
    "front_month_expiry",
    "holiday_label",
    "holidays_known",
    "is_regular_day",
    "is_settlement_day",
    "is_trading_day",
    "left_out",
    "lot_size",
    "market_class_of",
    "market_of",
    "market_protection_required",
    "monthly_expiry",
    "nearest_expiry",
    "next_trading_day",
    "order_legal",
    "parse_holidays",
    "previous_trading_day",
    "protection_band",
    "protective_limit_paise",
    "range_reset_ns",
    "range_reset_pct",
    "session_for",
    "session_of",
    "settlement_day",
    "stops_cancelled_ns",
    "tick_of",
    "tick_size_paise",
    "time_legal",
    "values_legal",
    "weekly_expiry",
]
