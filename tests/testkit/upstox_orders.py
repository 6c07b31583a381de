"""An adapter for Upstox's orders over a server played by hand, what is ordered, and the rows of its books."""

from datetime import date

from testkit.scripted_server import success
from tradebus.brokers.calls import Pacer
from tradebus.brokers.reference import ListedInstrument
from tradebus.brokers.upstox import UpstoxClient, UpstoxOrders
from tradebus.contracts.instrument_key import InstrumentKey, Segment
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.clock import EventClock
from tradebus.trading.orders import OrderRequest

INFY = ListedInstrument(InstrumentKey(Segment.NSE, "INFY"), "NSE_EQ|INE009A01021", "NSE_EQ", "INFY", 1, 10)
FUTURE = ListedInstrument(
    InstrumentKey(Segment.NFO, "NIFTY", date(2026, 12, 29)), "NSE_FO|50978", "NSE_FO", "NIFTY26DECFUT", 65, 10
)
INDEX = ListedInstrument(InstrumentKey(Segment.INDEX, "NIFTY"), "NSE_INDEX|Nifty 50", "NSE_INDEX", "NIFTY", 1, 5)
LISTED = {1: INFY, 2: FUTURE, 3: INDEX}
PLACE, MODIFY, CANCEL = "POST /v3/order/place", "PUT /v3/order/modify", "DELETE /v3/order/cancel"
BOOK, TRADES, TRADES_OF = (
    "GET /v2/order/retrieve-all",
    "GET /v2/order/trades/get-trades-for-day",
    "GET /v2/order/trades",
)
ORDER_ID, TAG = "261125000000001", "tb0123456789abcdefgh"
NOW_NS = 1_795_590_000 * 10**9
PLACED = success({"order_ids": [ORDER_ID]}, metadata={"latency": 3})
DONE = success({"order_id": ORDER_ID}, metadata={"latency": 3})


def instrument_of(segment: str, token: str) -> int | None:
    return {("NSE_EQ", INFY.token): 1, ("NSE_FO", FUTURE.token): 2}.get((segment, token))


def request(**changes) -> OrderRequest:
    fields = {
        "account": "s1", "tag": TAG, "instrument": 1, "symbol": "INFY", "transaction": Transaction.BUY,
        "order_type": OrderType.LIMIT, "quantity": 10, "lot_size": 1, "tick_size_paise": 10, "at_ns": 0,
        "price_paise": 150_010,
    }  # fmt: skip
    return OrderRequest(**(fields | changes))


def gateway_over(client: UpstoxClient, *, settle_seconds: float = 0.0, pace: Pacer | None = None) -> UpstoxOrders:
    return UpstoxOrders(
        client, listing_of=LISTED.__getitem__, instrument_of=instrument_of,
        settle_seconds=settle_seconds, clock=EventClock(NOW_NS), pace=pace,
    )  # fmt: skip
