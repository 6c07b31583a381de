"""How many instruments one connection of the market feed carries, by mode (BROKERS 3.3)."""

from collections import Counter
from collections.abc import Mapping

from tradebus.brokers.feed import FeedMode
from tradebus.kernel.errors import InvalidInput

LTPC, OPTION_GREEKS, FULL, FULL_D30 = "ltpc", "option_greeks", "full", "full_d30"
MODES = {FeedMode.PRICE: LTPC, FeedMode.QUOTE: FULL, FeedMode.FULL: FULL}
# Keys of one mode alone, and of each mode where several are used on the connection.
_ALONE = {LTPC: 5000, OPTION_GREEKS: 3000, FULL: 2000, FULL_D30: 50}
_MIXED = {LTPC: 2000, OPTION_GREEKS: 2000, FULL: 1500, FULL_D30: 50}


def check_limits(modes: Mapping[int, str], *, plus: bool) -> None:
    """`modes` by instrument. Raises InvalidInput naming the mode that is beyond its limit."""
    counts = Counter(modes.values())
    limits = _ALONE if len(counts) <= 1 else _MIXED
    for mode, count in counts.items():
        if mode == FULL_D30 and not plus:
            raise InvalidInput("upstox feed: full_d30 (30 levels) needs Upstox Plus; subscribe in mode full")
        if count > limits[mode]:
            mixed = " beside other modes" if limits is _MIXED else ""
            raise InvalidInput(
                f"upstox feed: {count:,} instruments in mode {mode}{mixed}, one connection carries {limits[mode]:,}; "
                "subscribe fewer, use mode PRICE, or split them over two logins"
            )
