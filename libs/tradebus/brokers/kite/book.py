"""Rows of Kite's order book and trade book.

A fill's id is unique beyond its day, because exchanges number trades afresh every morning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tradebus.brokers.common.orders.book import BookLine, FillsByOrder, fills_in, order_in
from tradebus.brokers.common.replies.rows import Row, Unreadable, paise, text, whole
from tradebus.brokers.kite.replies import identity, moment_ns, optional_text
from tradebus.brokers.kite.settings import BROKER
from tradebus.brokers.kite.status import status_of
from tradebus.brokers.reference import InstrumentOf
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import BrokerFill, BrokerOrder

_TIMES = ("exchange_update_timestamp", "exchange_timestamp", "order_timestamp")


@dataclass(frozen=True, slots=True, kw_only=True)
class KiteLine(BookLine):
    """`user` is Kite's id of whose it is."""

    variety: str
    user: str


def line_of(row: Row) -> KiteLine:
    """Raises Unreadable, naming the order and the field, where anything that decides about money cannot be read."""
    order_id = identity(row, "order_id")
    try:
        side = text(row, "transaction_type")
        if side not in tuple(Transaction):
            raise Unreadable(f"transaction_type: {side!r:.20} is neither BUY nor SELL")
        tag = optional_text(row, "tag")
        quantity, filled = whole(row, "quantity"), whole(row, "filled_quantity")
        if quantity <= 0 or filled < 0:
            raise Unreadable(f"quantity: {quantity}, of which {filled} are filled")
        trigger = paise(row, "trigger_price") if row.get("trigger_price") is not None else 0
        return KiteLine(
            order_id=order_id, tag=tag, tags=frozenset({tag, *_more_tags(row)} - {""}), word=text(row, "status"),
            transaction=Transaction(side), quantity=quantity,
            filled_quantity=filled, trigger_paise=trigger if trigger > 0 else None,
            segment=_shown(row, "exchange"), token=_shown(row, "instrument_token"),
            variety=_shown(row, "variety") or "regular", user=_shown(row, "user_id") or _shown(row, "placed_by"),
            reason=_shown(row, "status_message") or _shown(row, "status_message_raw"), as_of_ns=_as_of(row),
        )  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"order {order_id}: {error}") from None


def order_of(
    line: BookLine, fills: Sequence[BrokerFill], *, account: str, instrument_of: InstrumentOf, now_ns: int
) -> BrokerOrder:
    """The order with its fills; UNKNOWN where they are not all there yet."""
    return order_in(
        line, fills, account=account, status_of=status_of, instrument_of=instrument_of, now_ns=now_ns
    )  # fmt: skip


def fills_by_order(rows: Iterable[Row]) -> FillsByOrder:
    """The trade book, each order's trades by their time."""
    found = fills_in(BROKER, rows, _fill_of)
    return {
        order_id: tuple(sorted(fills, key=lambda fill: (fill.ts_event_ns, fill.fill_id)))
        for order_id, fills in found.items()
    }


def _fill_of(row: Row) -> tuple[str, BrokerFill]:
    order_id = identity(row, "order_id")
    trade_id, quantity, price = identity(row, "trade_id"), whole(row, "quantity"), paise(row, "average_price")
    # Not order_timestamp: in a trade it is a time of day without a date.
    at_ns = moment_ns(row, "fill_timestamp") or moment_ns(row, "exchange_timestamp")
    if quantity <= 0 or price <= 0 or at_ns is None:
        raise Unreadable(f"trade {trade_id}: quantity {quantity}, price {price} paise, time {at_ns}: not a trade")
    return order_id, BrokerFill(f"{order_id}-{trade_id}", quantity, price, at_ns)


def _more_tags(row: Row) -> list[str]:
    tags = row.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _shown(row: Row, name: str) -> str:
    """What decides about nothing: "" where it is not text or a number."""
    value = row.get(name)
    return str(value)[:300] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _as_of(row: Row) -> int | None:
    moments = []
    for name in _TIMES:
        try:
            moments.append(moment_ns(row, name))
        except Unreadable:
            continue
    return max((moment for moment in moments if moment is not None), default=None)
