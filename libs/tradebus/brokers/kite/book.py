"""Kite's order book and trade book, read into the common vocabulary.

Invariants (property-tested): a row that cannot be read whole becomes no order at all; a final status is told only with
the fills that make it up; a fill's id is unique beyond its day, because exchanges number trades afresh every morning.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from tradebus.brokers.kite.replies import (
    Row,
    Unreadable,
    identity,
    moment_ns,
    optional_text,
    paise,
    text,
    whole,
)
from tradebus.brokers.kite.status import status_of
from tradebus.brokers.ports import UNLISTED_INSTRUMENT, BrokerFill, BrokerOrder, BrokerStatus
from tradebus.contracts.orders import Transaction

InstrumentOf = Callable[[str, str], int | None]
_log = structlog.get_logger()
_TIMES = ("exchange_update_timestamp", "exchange_timestamp", "order_timestamp")


@dataclass(frozen=True, slots=True)
class BookLine:
    """What one row of the order book says. `word` is Kite's status; quantities in units."""

    order_id: str
    tags: frozenset[str]
    tag: str
    word: str
    transaction: Transaction
    quantity: int
    filled_quantity: int
    trigger_paise: int | None
    exchange: str
    token: str
    variety: str
    user: str
    reason: str
    as_of_ns: int | None


def line_of(row: Row) -> BookLine:
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
        return BookLine(
            order_id=order_id, tag=tag, tags=frozenset({tag, *_more_tags(row)} - {""}), word=text(row, "status"),
            transaction=Transaction(side), quantity=quantity,
            filled_quantity=filled, trigger_paise=trigger if trigger > 0 else None,
            exchange=_shown(row, "exchange"), token=_shown(row, "instrument_token"),
            variety=_shown(row, "variety") or "regular", user=_shown(row, "user_id") or _shown(row, "placed_by"),
            reason=_shown(row, "status_message") or _shown(row, "status_message_raw"), as_of_ns=_as_of(row),
        )  # fmt: skip
    except Unreadable as error:
        raise Unreadable(f"order {order_id}: {error}") from None


def order_of(
    line: BookLine, fills: Sequence[BrokerFill], *, account: str, instrument_of: InstrumentOf, now_ns: int
) -> BrokerOrder:
    """The order with its fills, which may be newer than the line. Where they do not add up yet, its end is not told."""
    total = sum(fill.quantity for fill in fills)
    filled = max(line.filled_quantity, total)
    status = status_of(line.word, quantity=line.quantity, filled_quantity=filled)
    if status.final and total != filled:
        status = BrokerStatus.UNKNOWN
    instrument = instrument_of(line.exchange, line.token)
    latest = max((fill.ts_event_ns for fill in fills), default=0)
    return BrokerOrder(
        broker_order_id=line.order_id, tag=line.tag, account=account,
        instrument=UNLISTED_INSTRUMENT if instrument is None else instrument, transaction=line.transaction,
        status=status, quantity=line.quantity, filled_quantity=filled, trigger_paise=line.trigger_paise,
        fills=tuple(fills), as_of_ns=max(now_ns if line.as_of_ns is None else line.as_of_ns, latest),
        reason=line.reason,
    )  # fmt: skip


def fills_by_order(rows: Iterable[Row]) -> Mapping[str, tuple[BrokerFill, ...]]:
    """The trade book. A row that cannot be read is left out: its order's fills then do not add up, which is noticed."""
    found: dict[str, dict[str, BrokerFill]] = defaultdict(dict)
    for row in rows:
        try:
            order_id = identity(row, "order_id")
            fill = _fill_of(row, order_id)
        except Unreadable as error:
            _log.error("kite: a trade cannot be read", reason=str(error))
            continue
        found[order_id][fill.fill_id] = fill
    return {
        order_id: tuple(sorted(fills.values(), key=lambda fill: (fill.ts_event_ns, fill.fill_id)))
        for order_id, fills in found.items()
    }


def _fill_of(row: Row, order_id: str) -> BrokerFill:
    trade_id, quantity, price = identity(row, "trade_id"), whole(row, "quantity"), paise(row, "average_price")
    # Not order_timestamp: in a trade it is a time of day without a date.
    at_ns = moment_ns(row, "fill_timestamp") or moment_ns(row, "exchange_timestamp")
    if quantity <= 0 or price <= 0 or at_ns is None:
        raise Unreadable(f"trade {trade_id}: quantity {quantity}, price {price} paise, time {at_ns}: not a trade")
    return BrokerFill(f"{order_id}-{trade_id}", quantity, price, at_ns)


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
