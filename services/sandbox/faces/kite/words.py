"""Kite's words, times and prices for what the exchange says in its own.

Prices leave as rupees in JSON numbers: paise / 100 is the double nearest to the amount, so it reads back exactly.
"""

from services.sandbox.ports import SandboxInstrument, SandboxOrder, SandboxStatus
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_datetime
from tradebus.trading.orders import Product

PRODUCTS = {"MIS": Product.INTRADAY, "NRML": Product.CARRY, "CNC": Product.DELIVERY}
PRODUCT_WORDS = {product: word for word, product in PRODUCTS.items()}
ORDER_TYPES = {str(kind): kind for kind in OrderType}
TRANSACTIONS = {str(side): side for side in Transaction}
VARIETIES = ("regular", "amo", "co", "iceberg", "auction")
EXCHANGES = ("NSE", "BSE", "NFO", "BFO")

STATUS_WORDS = {
    SandboxStatus.VALIDATION_PENDING: "VALIDATION PENDING",
    SandboxStatus.OPEN: "OPEN",
    SandboxStatus.TRIGGER_PENDING: "TRIGGER PENDING",
    SandboxStatus.AFTER_MARKET: "AMO REQ RECEIVED",
    SandboxStatus.COMPLETE: "COMPLETE",
    SandboxStatus.CANCELLED: "CANCELLED",
    SandboxStatus.REJECTED: "REJECTED",
}
_BSE_INDICES = frozenset({"SENSEX", "BANKEX", "SENSEX50"})


def rupees(paise: int) -> float:
    return paise / 100


def stamp(ts_ns: int) -> str:
    """`YYYY-MM-DD HH:MM:SS`, Indian time."""
    return ist_datetime(ts_ns).strftime("%Y-%m-%d %H:%M:%S")


def clock(ts_ns: int) -> str:
    return ist_datetime(ts_ns).strftime("%H:%M:%S")


def candle_stamp(ts_ns: int, *, whole_day: bool) -> str:
    """A candle's opening as history gives it; a day's candle opens at midnight."""
    return ist_datetime(ts_ns).strftime("%Y-%m-%dT00:00:00+0530" if whole_day else "%Y-%m-%dT%H:%M:%S+0530")


def exchange_of(key: InstrumentKey) -> str:
    """Kite's exchange of an instrument: an index belongs to the exchange that computes it."""
    if key.segment is Segment.INDEX:
        return "BSE" if key.name in _BSE_INDICES else "NSE"
    return str(key.segment)


def segment_of(key: InstrumentKey) -> str:
    """The `segment` column of the instrument dump."""
    if key.segment is Segment.INDEX:
        return "INDICES"
    if key.is_derivative:
        return f"{key.segment}-{'OPT' if key.is_option else 'FUT'}"
    return str(key.segment)


def instrument_type_of(key: InstrumentKey) -> str:
    if key.right is not None:
        return str(key.right)
    return "FUT" if key.is_derivative else "EQ"


def kind_of(instrument: SandboxInstrument) -> str:
    """The charges' word for it."""
    if instrument.key.is_option:
        return "OPTION"
    return "FUTURE" if instrument.key.is_derivative else "EQUITY"


def status_word(order: SandboxOrder) -> str:
    return "CANCELLED AMO" if _cancelled_after_market(order) else STATUS_WORDS[order.status]


def _cancelled_after_market(order: SandboxOrder) -> bool:
    """It ended without ever having been with the exchange."""
    return order.status is SandboxStatus.CANCELLED and [status for status, _, _ in order.history[:-1]][-1:] == [
        SandboxStatus.AFTER_MARKET
    ]
