"""Upstox's words for orders and markets (BROKERS 5 and 7). Quantities decide fills, never a word."""

from types import MappingProxyType

from tradebus.brokers.common.orders.book import decided
from tradebus.contracts.instrument_key import Segment
from tradebus.trading.orders import BrokerStatus, Product

PRODUCTS = MappingProxyType({Product.INTRADAY: "I", Product.CARRY: "D", Product.DELIVERY: "D"})

# What stands before the bar in an instrument key, for the segments that tradebus knows.
SEGMENTS = MappingProxyType(
    {
        "NSE_EQ": Segment.NSE, "BSE_EQ": Segment.BSE, "NSE_FO": Segment.NFO, "BSE_FO": Segment.BFO,
        "NSE_INDEX": Segment.INDEX, "BSE_INDEX": Segment.INDEX,
    }
)  # fmt: skip

_STATUSES = {
    "put order req received": BrokerStatus.PENDING,
    "validation pending": BrokerStatus.PENDING,
    "open pending": BrokerStatus.PENDING,
    "after market order req received": BrokerStatus.PENDING,
    "modify after market order req received": BrokerStatus.PENDING,
    "open": BrokerStatus.OPEN,
    "modify pending": BrokerStatus.OPEN,
    "modify validation pending": BrokerStatus.OPEN,
    "modified": BrokerStatus.OPEN,
    "not modified": BrokerStatus.OPEN,
    "not cancelled": BrokerStatus.OPEN,
    "cancel pending": BrokerStatus.CANCEL_PENDING,
    "trigger pending": BrokerStatus.TRIGGER_PENDING,
    "complete": BrokerStatus.FILLED,
    "cancelled": BrokerStatus.CANCELLED,
    "cancelled after market order": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
}


def status_of(word: str, *, quantity: int, filled_quantity: int) -> BrokerStatus:
    """The common status. Units. UNKNOWN for a word that is not documented, and where word and quantities disagree."""
    status = _STATUSES.get(" ".join(word.lower().split()), BrokerStatus.UNKNOWN)
    return decided(status, quantity=quantity, filled_quantity=filled_quantity)


def segment_of(instrument_key: str) -> str:
    """NSE_FO of NSE_FO|50978."""
    return instrument_key.partition("|")[0]
