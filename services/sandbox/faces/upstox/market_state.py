"""Whether a segment trades, in Upstox's words."""

from types import MappingProxyType

from tradebus.calendar import MarketClass, session_for
from tradebus.kernel.time import ist_date

_PRE_OPEN_NS = 15 * 60 * 1_000_000_000
# Upstox's exchanges and the class whose hours they keep; of NSE's and BSE's, the stocks that trade longest.
CLASSES = MappingProxyType(
    {
        "NSE": MarketClass.EQUITY, "BSE": MarketClass.EQUITY, "NFO": MarketClass.DERIVATIVE,
        "BFO": MarketClass.DERIVATIVE,
    }
)  # fmt: skip
# Segments of the feed's market information, and the class whose hours they keep.
FEED_SEGMENTS = MappingProxyType(
    {
        "NSE_EQ": MarketClass.EQUITY, "NSE_FO": MarketClass.DERIVATIVE, "NSE_INDEX": MarketClass.INDEX,
        "BSE_EQ": MarketClass.EQUITY, "BSE_FO": MarketClass.DERIVATIVE, "BSE_INDEX": MarketClass.INDEX,
    }
)  # fmt: skip


def status_at(now_ns: int, market_class: MarketClass) -> str:
    """NORMAL_OPEN, NORMAL_CLOSE, or PRE_OPEN_START in the quarter of an hour before the open."""
    session = session_for(ist_date(now_ns), market_class)
    if session is None:
        return "NORMAL_CLOSE"
    if session.contains(now_ns):
        return "NORMAL_OPEN"
    return "PRE_OPEN_START" if 0 < session.open_ns - now_ns <= _PRE_OPEN_NS else "NORMAL_CLOSE"
