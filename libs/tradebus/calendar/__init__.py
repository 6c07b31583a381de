"""Dated market rules. Takes a date, never today.

sessions   when the market trades          expiries   when contracts expire
lots       lots, freezes, ticks            legality   what the exchange refuses
"""

from tradebus.calendar.expiries import front_month_expiry, monthly_expiry, nearest_expiry, weekly_expiry
from tradebus.calendar.legality import Legality, market_protection_required, order_legal, stops_cancelled_ns
from tradebus.calendar.lots import freeze_quantity, lot_size, tick_size_paise
from tradebus.calendar.rules import MarketClass, parse_holidays
from tradebus.calendar.sessions import (
    TradingSession,
    holiday_label,
    holidays_known,
    is_settlement_day,
    is_trading_day,
    market_class_of,
    next_trading_day,
    previous_trading_day,
    session_for,
)

__all__ = [
    "Legality",
    "MarketClass",
    "TradingSession",
    "freeze_quantity",
    "front_month_expiry",
    "holiday_label",
    "holidays_known",
    "is_settlement_day",
    "is_trading_day",
    "lot_size",
    "market_class_of",
    "market_protection_required",
    "monthly_expiry",
    "nearest_expiry",
    "next_trading_day",
    "order_legal",
    "parse_holidays",
    "previous_trading_day",
    "session_for",
    "stops_cancelled_ns",
    "tick_size_paise",
    "weekly_expiry",
]
