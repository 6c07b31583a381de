"""Upstox's words for what the exchange knows: statuses, products, segments, times, money.

Invariant (tested): every status of the exchange has exactly one word, and prices leave as rupees with two decimals.
"""

from types import MappingProxyType

from services.sandbox.ports import SandboxInstrument, SandboxOrder, SandboxStatus, Validity
from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.time import ist_datetime
from tradebus.trading.orders import Product

NANOSECONDS_PER_MILLISECOND = 1_000_000

STATUS = MappingProxyType(
    {
        SandboxStatus.VALIDATION_PENDING: "validation pending",
        SandboxStatus.OPEN: "open",
        SandboxStatus.TRIGGER_PENDING: "trigger pending",
        SandboxStatus.AFTER_MARKET: "after market order req received",
        SandboxStatus.COMPLETE: "complete",
        SandboxStatus.CANCELLED: "cancelled",
        SandboxStatus.REJECTED: "rejected",
    }
)
RECEIVED = "put order req received"
OPEN_PENDING = "open pending"
ORDER_TYPES = MappingProxyType({kind.value: kind for kind in OrderType})
TRANSACTIONS = MappingProxyType({side.value: side for side in Transaction})
VALIDITIES = MappingProxyType({"DAY": Validity.DAY, "IOC": Validity.IOC})
PRODUCTS = ("I", "D", "MTF")
# The segments a user's account trades in, as the kill switch and the profile list them.
SEGMENTS = ("NSE_EQ", "NSE_FO", "BSE_EQ", "BSE_FO")
_EXCHANGES = MappingProxyType({Segment.NSE: "NSE", Segment.NFO: "NFO", Segment.BSE: "BSE", Segment.BFO: "BFO"})


def exchange_of(instrument: SandboxInstrument) -> str:
    """NSE, NFO, BSE or BFO."""
    return _EXCHANGES.get(instrument.key.segment) or house_of(instrument)


def house_of(instrument: SandboxInstrument) -> str:
    """NSE or BSE."""
    return instrument.upstox_key[:3]


def segment_of(instrument: SandboxInstrument) -> str:
    """NSE_EQ, NSE_FO, NSE_INDEX …: what stands before the bar in an instrument key."""
    return instrument.upstox_key.partition("|")[0]


def order_symbol(instrument: SandboxInstrument) -> str:
    """A share is NHPC-EQ in the order book and NHPC elsewhere."""
    return instrument.symbol if instrument.key.is_derivative else f"{instrument.symbol}-EQ"


def quote_symbol(instrument: SandboxInstrument) -> str:
    """The name of an entry in a reply of quotes: NSE_EQ:NHPC, NSE_INDEX:Nifty 50."""
    segment, _, name = instrument.upstox_key.partition("|")
    return f"{segment}:{name if instrument.key.segment is Segment.INDEX else instrument.symbol}"


def product_of(word: str, instrument: SandboxInstrument) -> Product:
    """D is a carried position in derivatives and a delivery in shares."""
    if word == "I":
        return Product.INTRADAY
    return Product.CARRY if instrument.key.is_derivative else Product.DELIVERY


def product_word(product: Product) -> str:
    return "I" if product is Product.INTRADAY else "D"


def status_word(order: SandboxOrder) -> str:
    if order.status is SandboxStatus.CANCELLED and order.asked.after_market:
        return "cancelled after market order"
    return STATUS[order.status]


def validity_word(validity: Validity) -> str:
    """Another broker's TTL is shown as a day order: Upstox has no third validity."""
    return "IOC" if validity is Validity.IOC else "DAY"


def rupees(paise: float) -> float:
    """Paise as a JSON number in rupees, to the paisa."""
    return round(paise / 100, 2)


def milliseconds(ts_ns: int) -> int:
    return ts_ns // NANOSECONDS_PER_MILLISECOND


def stamp(ts_ns: int) -> str:
    """2026-11-25 10:00:01, Indian time: orders."""
    return ist_datetime(ts_ns).strftime("%Y-%m-%d %H:%M:%S")


def trade_stamp(ts_ns: int) -> str:
    """25-Nov-2026 10:00:01, Indian time: trades."""
    return ist_datetime(ts_ns).strftime("%d-%b-%Y %H:%M:%S")


def iso_stamp(ts_ns: int) -> str:
    """2026-11-25T10:00:00+05:30: candles."""
    return ist_datetime(ts_ns).isoformat(timespec="seconds")


def iso_stamp_milliseconds(ts_ns: int) -> str:
    """2026-11-25T10:00:00.123+05:30: quotes."""
    return ist_datetime(ts_ns).isoformat(timespec="milliseconds")
