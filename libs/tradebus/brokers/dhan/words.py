"""Dhan's words for what tradebus has words for: segments, products, order types."""

from tradebus.contracts.instrument_key import Segment
from tradebus.contracts.orders import OrderType
from tradebus.trading.orders import Product

BROKER = "dhan"
# Dhan's word for a segment and its number on the feed. The others (currency, commodity) are unknown here.
FEED_NUMBERS = {"IDX_I": 0, "NSE_EQ": 1, "NSE_FNO": 2, "BSE_EQ": 4, "BSE_FNO": 8}
WORD_OF_NUMBER = {number: word for word, number in FEED_NUMBERS.items()}
INDEX = "IDX_I"
SEGMENT_WORDS = {
    Segment.INDEX: "IDX_I",
    Segment.NSE: "NSE_EQ",
    Segment.NFO: "NSE_FNO",
    Segment.BSE: "BSE_EQ",
    Segment.BFO: "BSE_FNO",
}
PRODUCT_WORDS = {Product.INTRADAY: "INTRADAY", Product.CARRY: "MARGIN", Product.DELIVERY: "CNC"}
ORDER_TYPE_WORDS = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.SL: "STOP_LOSS",
    OrderType.SL_M: "STOP_LOSS_MARKET",
}
STOP_WORDS = frozenset({"stop_loss", "stop_loss_market", "sl", "slm", "sl_m", "stl", "stm"})
INDEX_UNDERLYINGS = frozenset(
    {"NIFTY", "BANKNIFTY", "FINNIFTY", "MIDCPNIFTY", "NIFTYNXT50", "SENSEX", "BANKEX", "SENSEX50"}
)
