"""Dhan's words for what the exchange knows: segments, products, order types, statuses. Tables, nothing else."""

from services.sandbox.ports import SandboxOrder, SandboxStatus, TriggerStatus
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product

SEGMENT_BY_WORD = {
    "NSE_EQ": Segment.NSE,
    "NSE_FNO": Segment.NFO,
    "BSE_EQ": Segment.BSE,
    "BSE_FNO": Segment.BFO,
    "IDX_I": Segment.INDEX,
}
WORD_BY_SEGMENT = {segment: word for word, segment in SEGMENT_BY_WORD.items()}
# Known to Dhan, not listed in the sandbox: an instrument there does not exist, but its word is no mistake.
OTHER_SEGMENTS = frozenset({"NSE_CURRENCY", "BSE_CURRENCY", "MCX_COMM", "NSE_COMM"})
SEGMENT_CODE = {Segment.INDEX: 0, Segment.NSE: 1, Segment.NFO: 2, Segment.BSE: 4, Segment.BFO: 8}

PRODUCT_BY_WORD = {
    "INTRADAY": Product.INTRADAY,
    "MARGIN": Product.CARRY,
    "CNC": Product.DELIVERY,
    "MTF": Product.DELIVERY,
}
WORD_BY_PRODUCT = {Product.INTRADAY: "INTRADAY", Product.CARRY: "MARGIN", Product.DELIVERY: "CNC"}

ORDER_TYPE_BY_WORD = {
    "MARKET": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "STOP_LOSS": OrderType.SL,
    "STOP_LOSS_MARKET": OrderType.SL_M,
}
WORD_BY_ORDER_TYPE = {order_type: word for word, order_type in ORDER_TYPE_BY_WORD.items()}

_STATUS = {
    SandboxStatus.VALIDATION_PENDING: "TRANSIT",
    SandboxStatus.OPEN: "PENDING",
    SandboxStatus.TRIGGER_PENDING: "PENDING",
    SandboxStatus.AFTER_MARKET: "PENDING",
    SandboxStatus.COMPLETE: "TRADED",
    SandboxStatus.CANCELLED: "CANCELLED",
    SandboxStatus.REJECTED: "REJECTED",
}
TRIGGER_STATUS = {
    TriggerStatus.ACTIVE: "PENDING",
    TriggerStatus.TRIGGERED: "TRIGGERED",
    TriggerStatus.CANCELLED: "CANCELLED",
    TriggerStatus.EXPIRED: "EXPIRED",
    TriggerStatus.REJECTED: "REJECTED",
}
_DAY_OVER = "session has ended"  # the exchange's own reason for what it takes out of the book at the close
# How the order-update stream abbreviates.
STREAM_ORDER_TYPE = {OrderType.MARKET: "MKT", OrderType.LIMIT: "LMT", OrderType.SL: "SL", OrderType.SL_M: "SLM"}
STREAM_PRODUCT = {Product.INTRADAY: "I", Product.CARRY: "M", Product.DELIVERY: "C"}


def status_word(order: SandboxOrder) -> str:
    """TRANSIT, PENDING, PART_TRADED, TRADED, CANCELLED, EXPIRED or REJECTED."""
    if order.status is SandboxStatus.OPEN and order.filled_quantity > 0:
        return "PART_TRADED"
    if order.status is SandboxStatus.CANCELLED and _DAY_OVER in order.reason:
        return "EXPIRED"
    return _STATUS[order.status]


def instrument_word(key: InstrumentKey, *, underlying_is_index: bool) -> str:
    """INDEX, EQUITY, FUTIDX, FUTSTK, OPTIDX or OPTSTK."""
    if key.segment is Segment.INDEX:
        return "INDEX"
    if not key.is_derivative:
        return "EQUITY"
    return ("OPT" if key.is_option else "FUT") + ("IDX" if underlying_is_index else "STK")


def exchange_word(segment: Segment, name: str) -> str:
    """NSE or BSE; an index belongs to the exchange that computes it."""
    if segment is Segment.INDEX:
        return "BSE" if name in BSE_INDICES else "NSE"
    return "BSE" if segment in (Segment.BSE, Segment.BFO) else "NSE"


BSE_INDICES = frozenset({"SENSEX", "BANKEX", "SENSEX50"})
EXCHANGE_LETTER = {
    Segment.INDEX: "I",
    Segment.NSE: "E",
    Segment.BSE: "E",
    Segment.NFO: "D",
    Segment.BFO: "D",
}
