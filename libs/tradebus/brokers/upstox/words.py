"""Upstox's words for orders and markets (BROKERS 5 and 7). Quantities decide fills, never a word."""

from types import MappingProxyType

from tradebus.brokers.ports import BrokerStatus, Product
from tradebus.contracts.instrument_key import Segment

PRODUCTS = MappingProxyType({Product.INTRADAY: "I", Product.CARRY: "D", Product.DELIVERY: "D"})

# What stands before the bar in an instrument key, for the segments that tradebus knows.
SEGMENTS = MappingProxyType(
    {
        "NSE_EQ": Segment.NSE, "BSE_EQ": Segment.BSE, "NSE_FO": Segment.NFO, "BSE_FO": Segment.BFO,
        "NSE_INDEX": Segment.INDEX, "BSE_INDEX": Segment.INDEX,
    }
)  # fmt: skip
# Indices whose derivatives carry another name than the index itself. Others keep their own (INDIA VIX, NIFTY IT).
INDEX_NAMES = MappingProxyType(
    {
        "NIFTY 50": "NIFTY", "NIFTY BANK": "BANKNIFTY", "NIFTY FIN SERVICE": "FINNIFTY",
        "NIFTY MID SELECT": "MIDCPNIFTY", "NIFTY NEXT 50": "NIFTYNXT50", "SNSX50": "SENSEX50",
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
    if quantity <= 0 or not 0 <= filled_quantity <= quantity:
        return BrokerStatus.UNKNOWN
    if filled_quantity == quantity:
        return BrokerStatus.FILLED
    status = _STATUSES.get(" ".join(word.lower().split()), BrokerStatus.UNKNOWN)
    if status is BrokerStatus.FILLED:  # says complete, and is not
        return BrokerStatus.UNKNOWN
    if status is BrokerStatus.REJECTED and filled_quantity > 0:
        return BrokerStatus.UNKNOWN
    return status


def segment_of(instrument_key: str) -> str:
    """NSE_FO of NSE_FO|50978."""
    return instrument_key.partition("|")[0]
