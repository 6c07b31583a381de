"""Upstox's order book, trades and order updates, read into the common vocabulary.

Invariants (property-tested): a row that cannot be read whole becomes no order at all; a final status is told only with
the fills that make it up; REJECTED and FILLED follow from documented words and quantities alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from tradebus.brokers.ports import UNLISTED_INSTRUMENT, BrokerFill, BrokerOrder, BrokerStatus
from tradebus.brokers.upstox.replies import Row, Unreadable, moment_ns, moment_of, optional_text, paise, text, whole
from tradebus.brokers.upstox.words import segment_of, status_of
from tradebus.contracts.orders import OrderType, Transaction

InstrumentOf = Callable[[str, str], int | None]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BookLine:
    """What one row of the order book says. `word` is Upstox's status; quantities in units; "" for what it lacks."""

    order_id: str
    tag: str
    word: str
    transaction: Transaction
    order_type: OrderType | None
    validity: str
    quantity: int
    filled_quantity: int
    disclosed_quantity: int
    price_paise: int
    trigger_paise: int
    instrument_key: str
    reason: str
    as_of_ns: int | None


def line_of(row: Row) -> BookLine:
    """Raises Unreadable, naming the order and the field, where anything that decides about money cannot be read."""
    order_id = text(row, "order_id")
    try:
        side = text(row, "transaction_type")
        if side not in tuple(Transaction):
            raise Unreadable(f"transaction_type: {side!r:.20} is neither BUY nor SELL")
        kind = optional_text(row, "order_type")
        return BookLine(
            order_id=order_id, tag=optional_text(row, "tag"), word=text(row, "status"), transaction=Transaction(side),
            order_type=OrderType(kind) if kind in tuple(OrderType) else None, validity=optional_text(row, "validity"),
            quantity=whole(row, "quantity"), filled_quantity=whole(row, "filled_quantity"),
            disclosed_quantity=whole(row, "disclosed_quantity") if row.get("disclosed_quantity") else 0,
            price_paise=paise(row, "price") if row.get("price") is not None else 0,
            trigger_paise=paise(row, "trigger_price") if row.get("trigger_price") is not None else 0,
            instrument_key=text(row, "instrument_token", "instrument_key"),
            reason=optional_text(row, "status_message") or optional_text(row, "status_message_raw"),
            as_of_ns=moment_ns(row, "exchange_timestamp") or moment_ns(row, "order_timestamp"),
        )  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"order {order_id[:40]}: {error}") from None


def order_of(
    line: BookLine, fills: Sequence[BrokerFill], *, account: str, instrument_of: InstrumentOf, now_ns: int
) -> BrokerOrder:
    """The order with its fills, which may be newer than the line. Where they do not add up yet, its end is not told."""
    total = sum(fill.quantity for fill in fills)
    filled = max(line.filled_quantity, total)
    status = status_of(line.word, quantity=line.quantity, filled_quantity=filled)
    if status.final and total != filled:
        status = BrokerStatus.UNKNOWN
    instrument = instrument_of(segment_of(line.instrument_key), line.instrument_key)
    latest = max((fill.ts_event_ns for fill in fills), default=0)
    return BrokerOrder(
        broker_order_id=line.order_id, tag=line.tag, account=account,
        instrument=UNLISTED_INSTRUMENT if instrument is None else instrument, transaction=line.transaction,
        status=status, quantity=line.quantity, filled_quantity=filled,
        trigger_paise=line.trigger_paise if line.trigger_paise > 0 else None, fills=tuple(fills),
        as_of_ns=max(now_ns if line.as_of_ns is None else line.as_of_ns, latest), reason=line.reason,
    )  # fmt: skip


def fills_by_order(rows: Iterable[Row]) -> Mapping[str, tuple[BrokerFill, ...]]:
    """Trades. A row that cannot be read is left out: its order's fills then do not add up, which is noticed."""
    found: dict[str, dict[str, BrokerFill]] = defaultdict(dict)
    for row in rows:
        try:
            order_id = text(row, "order_id")
            fill = _fill_of(row, order_id)
        except Unreadable as error:
            _log.error("upstox: a trade cannot be read", reason=str(error))
            continue
        found[order_id][fill.fill_id] = fill
    return {order_id: tuple(fills.values()) for order_id, fills in found.items()}


def _fill_of(row: Row, order_id: str) -> BrokerFill:
    quantity, price = whole(row, "quantity"), paise(row, "average_price")
    if quantity <= 0 or price <= 0:
        raise Unreadable(f"order {order_id[:40]}: a trade of {quantity} at {price} paise")
    at_ns = moment_ns(row, "exchange_timestamp")
    if at_ns is None:
        at_ns = moment_of(row.get("order_timestamp"), name="order_timestamp")
    # An exchange numbers its trades afresh every morning; with the order's id a trade's is unique for ever.
    return BrokerFill(f"{order_id}:{text(row, 'trade_id')}", quantity, price, at_ns)
