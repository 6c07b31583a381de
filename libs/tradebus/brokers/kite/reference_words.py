"""Kite's words for what is listed where, and tradebus' own."""

from tradebus.contracts.instrument_key import Segment

TRADED_SEGMENTS = frozenset({Segment.NSE, Segment.NFO, Segment.BSE, Segment.BFO})

# Timeframe seconds: Kite's word, and the days one call may span (BROKERS 6).
INTERVALS = {
    60: ("minute", 60),
    180: ("3minute", 100),
    300: ("5minute", 100),
    600: ("10minute", 100),
    900: ("15minute", 200),
    1800: ("30minute", 200),
    3600: ("60minute", 400),
    86_400: ("day", 2000),
}
