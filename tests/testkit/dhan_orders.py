"""Dhan's order calls by address, an adapter over a server played by hand, and its refusals."""

from testkit.dhan_desk import (
    LISTED,
    Answer,
    instrument_of,
)
from tradebus.brokers.dhan import DhanOrders

ACCEPTED = {"orderId": "112111182198", "orderStatus": "TRANSIT"}
PLACE, BOOK, TRADES = "POST /v2/orders", "GET /v2/orders", "GET /v2/trades/"
BY_TAG, ORDER, ITS_TRADES = (
    "GET /v2/orders/external/tb0001",
    "PUT /v2/orders/112111182198",
    "GET /v2/trades/112111182198",
)


def orders_over(client, *, settle_seconds=0.0):
    return DhanOrders(
        client, listing_of=LISTED.__getitem__, instrument_of=instrument_of,
        settle_seconds=settle_seconds,
    )  # fmt: skip


def error(code: str, status: int = 400, message: str = "no") -> Answer:
    return Answer.of({"errorType": "X", "errorCode": code, "errorMessage": message}, status)
