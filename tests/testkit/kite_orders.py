"""An adapter for Kite's orders over a server played by hand, what is ordered, and the rows of its books."""

from datetime import date

from tradebus.brokers.kite import KiteOrders
from tradebus.brokers.reference import ListedInstrument
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import EventClock
from tradebus.trading.orders import OrderRequest

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "408065", "NSE", "INFY", 1, 5)
FUTURE = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29)), "12602626", "NFO", "NIFTY26DECFUT", 65, 10
)
INDEX = ListedInstrument(InstrumentKey(Segment.INDEX, "NIFTY"), "256265", "NSE", "NIFTY 50", 1, 5)
LISTED = {1: INFY, 2: FUTURE, 3: INDEX}
TAG = "tb0123456789abcdefgh"
NOW_NS = 1_795_590_000 * 10**9


def instrument_of(segment: str, token: str) -> int | None:
    return {("NSE", "408065"): 1, ("NFO", "12602626"): 2}.get((segment, token))


def request(**changes) -> OrderRequest:
    fields = {
        "account": "s1", "tag": TAG, "instrument": 1, "symbol": "INFY", "transaction": Transaction.BUY,
        "order_type": OrderType.LIMIT, "quantity": 10, "lot_size": 1, "tick_size_paise": 5, "at_ns": 0,
        "price_paise": 150_005,
    }  # fmt: skip
    return OrderRequest(**(fields | changes))


def row(**changes) -> dict:
    fields = {
        "placed_by": "AB1234", "order_id": "261125000000001", "exchange_order_id": "1100000000000001",
        "parent_order_id": None, "status": "OPEN", "status_message": None, "status_message_raw": None,
        "order_timestamp": "2026-11-25 10:00:00", "exchange_update_timestamp": "2026-11-25 10:00:01",
        "exchange_timestamp": "2026-11-25 10:00:00", "variety": "regular", "modified": False, "exchange": "NSE",
        "tradingsymbol": "INFY", "instrument_token": 408065, "order_type": "LIMIT", "transaction_type": "BUY",
        "validity": "DAY", "product": "MIS", "quantity": 10, "disclosed_quantity": 0, "price": 1500.05,
        "trigger_price": 0, "average_price": 0, "filled_quantity": 0, "pending_quantity": 10, "cancelled_quantity": 0,
        "market_protection": 0, "meta": {}, "tag": TAG, "guid": "x",
    }  # fmt: skip
    return fields | changes


def make(kite, **changes) -> KiteOrders:
    client = changes.pop("client", None) or kite.client()
    fields = {"listing_of": LISTED.__getitem__, "instrument_of": instrument_of, "clock": EventClock(NOW_NS)}
    return KiteOrders(client, **(fields | changes))


PLACE = "POST /orders/regular"
