"""Rows of Upstox's order book, trades and order updates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradebus.brokers.common.orders.book import BookLine, FillsByOrder, fills_in, order_in
from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, text, whole
from tradebus.brokers.reference import InstrumentOf
from tradebus.brokers.upstox.replies import moment_ns, moment_of, optional_text
from tradebus.brokers.upstox.settings import BROKER
from tradebus.brokers.upstox.words import segment_of, status_of
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerFill, BrokerOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstoxLine(BookLine):
    """With what a modification has to say again. `price_paise` 0 and `order_type` None for what the row lacks."""

    order_type: OrderType | None
    validity: str
    disclosed_quantity: int
    price_paise: int


def line_of(row: Row) -> UpstoxLine:
    """Raises Unreadable, naming the order and the field, where anything that decides about money cannot be read."""
    order_id = text(row, "order_id")
    try:
        side = text(row, "transaction_type")
        if side not in tuple(Transaction):
            raise Unreadable(f"transaction_type: {side!r:.20} is neither BUY nor SELL")
        kind, tag = optional_text(row, "order_type"), optional_text(row, "tag")
        trigger = _price(row, "trigger_price")
        token = text(row, "instrument_token", "instrument_key")
        return UpstoxLine(
            order_id=order_id, tag=tag, tags=frozenset({tag}), word=text(row, "status"), transaction=Transaction(side),
            order_type=OrderType(kind) if kind in tuple(OrderType) else None, validity=optional_text(row, "validity"),
            quantity=whole(row, "quantity"), filled_quantity=whole(row, "filled_quantity"),
            disclosed_quantity=whole(row, "disclosed_quantity") if row.get("disclosed_quantity") else 0,
            price_paise=_price(row, "price"), trigger_paise=trigger if trigger > 0 else None,
            segment=segment_of(token), token=token,
            reason=optional_text(row, "status_message") or optional_text(row, "status_message_raw"),
            as_of_ns=moment_ns(row, "exchange_timestamp") or moment_ns(row, "order_timestamp"),
        )  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"order {order_id[:40]}: {error}") from None


def order_of(
    line: BookLine, fills: Sequence[BrokerFill], *, account: str, instrument_of: InstrumentOf, now_ns: int
) -> BrokerOrder:
    """The order with its fills; UNKNOWN where they are not all there yet."""
    return order_in(line, fills, account=account, status_of=status_of, instrument_of=instrument_of, now_ns=now_ns)


def fills_by_order(rows: Iterable[Row]) -> FillsByOrder:
    """Trades by order id."""
    return fills_in(BROKER, rows, _fill_of)


def _fill_of(row: Row) -> tuple[str, BrokerFill]:
    order_id, quantity, price = text(row, "order_id"), whole(row, "quantity"), paise(row, "average_price")
    if quantity <= 0 or price <= 0:
        raise Unreadable(f"order {order_id[:40]}: a trade of {quantity} at {price} paise")
    at_ns = moment_ns(row, "exchange_timestamp")
    if at_ns is None:
        at_ns = moment_of(row.get("order_timestamp"), name="order_timestamp")
    # An exchange numbers its trades afresh every morning; with the order's id a trade's is unique for ever.
    return order_id, BrokerFill(f"{order_id}:{text(row, 'trade_id')}", quantity, price, at_ns)


def _price(row: Row, name: str) -> int:
    """0 for null or nothing."""
    return paise(row, name) if row.get(name) is not None else 0
