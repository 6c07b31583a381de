"""The range that an instrument's orders must lie in today, out of a broker's quote: all three name it alike."""

from collections.abc import Mapping

from tradebus.brokers.common.replies.rows import Unreadable, paise
from tradebus.brokers.reference import PriceBand

_LOWER, _UPPER = "lower_circuit_limit", "upper_circuit_limit"


def price_band(quote: object) -> PriceBand | None:
    """None where the quote says none (an index has none), or what cannot be one."""
    if not isinstance(quote, Mapping) or quote.get(_LOWER) is None or quote.get(_UPPER) is None:
        return None
    try:
        band = PriceBand(paise(quote, _LOWER), paise(quote, _UPPER))
    except Unreadable:
        return None
    return band if 0 <= band.lower_paise < band.upper_paise else None
