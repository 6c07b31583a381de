"""Rows of Dhan's order book, trade book and order stream as BrokerOrders.

Invariants (property-tested): FILLED only where the filled quantity covers the quantity; REJECTED only where Dhan's word
is REJECTED and nothing was filled; a final status only together with all its fills; what was not said, or is not
known, is UNKNOWN. A row that does not name its order makes the whole reply Malformed: it might be anybody's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tradebus.brokers.dhan.fields import (
    Row,
    instant_ns_or_none,
    paise_or_none,
    text,
    text_or_none,
    whole_or_none,
)
from tradebus.brokers.dhan.words import BROKER, STOP_WORDS
from tradebus.brokers.errors import Malformed
from tradebus.brokers.reference import InstrumentOf
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerFill, BrokerOrder, BrokerStatus

_PENDING, _OPEN, _UNKNOWN = BrokerStatus.PENDING, BrokerStatus.OPEN, BrokerStatus.UNKNOWN
_STATUS = {
    "transit": _PENDING,
    "pending": _OPEN,
    "modified": _OPEN,
    "part_traded": _OPEN,
    "triggered": _OPEN,
    "confirm": _OPEN,
    "inactive": BrokerStatus.TRIGGER_PENDING,
    "traded": BrokerStatus.FILLED,
    "cancelled": BrokerStatus.CANCELLED,
    "expired": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
}  # CLOSED, of super orders alone, stays unknown
_SIDES = {"buy": Transaction.BUY, "b": Transaction.BUY, "sell": Transaction.SELL, "s": Transaction.SELL}
# How the stream says where something lists: exchange, then E(quity), D(erivatives) or I(ndex).
_STREAM_SEGMENTS = {
    ("NSE", "E"): "NSE_EQ", ("NSE", "D"): "NSE_FNO", ("BSE", "E"): "BSE_EQ", ("BSE", "D"): "BSE_FNO",
    ("NSE", "I"): "IDX_I", ("BSE", "I"): "IDX_I",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reader:
    """What the rows do not say of themselves: whose they are, which small integer an instrument has, what time it is
    (for rows without one)."""

    account: str
    instrument_of: InstrumentOf
    now_ns: int

    def order(self, row: Row, fills: Sequence[BrokerFill]) -> BrokerOrder:
        """A row of the order book with the order's fills. Raises Malformed for one that names no order or side."""
        filled = filled_of(row)
        return self._made(
            row, fills, order_id=text("order", row, "orderId"), side=row.get("transactionType"),
            segment=text_or_none(row.get("exchangeSegment")) or "", filled=filled, word=row.get("orderStatus"),
            type_word=row.get("orderType"), at=("updateTime", "exchangeTime", "createTime"),
            reason=row.get("omsErrorDescription"),
        )  # fmt: skip

    def update(self, message: Row) -> BrokerOrder:
        """The `Data` of an order alert, its names in small letters. Raises Malformed."""
        where = (str(message.get("exchange")).upper(), str(message.get("segment")).upper())
        row = {
            "correlationId": message.get("correlationid"), "securityId": message.get("securityid"),
            "quantity": message.get("quantity"), "triggerPrice": message.get("triggerprice"),
            "updateTime": message.get("lastupdatedtime"),
        }  # fmt: skip
        return self._made(
            row, (), order_id=text("order update", message, "orderno"), side=message.get("txntype"),
            segment=_STREAM_SEGMENTS.get(where, ""), filled=whole_or_none(message.get("tradedqty")),
            word=message.get("status"), type_word=message.get("ordertype"), at=("updateTime",),
            reason=message.get("reasondescription"),
        )  # fmt: skip

    def _made(
        self, row: Row, fills: Sequence[BrokerFill], *, order_id: str, side: object, segment: str, filled: int | None,
        word: object, type_word: object, at: Sequence[str], reason: object,
    ) -> BrokerOrder:  # fmt: skip
        transaction = _SIDES.get(str(side).strip().lower())
        if transaction is None:
            raise Malformed(BROKER, f"order {order_id[:40]}: its side is {str(side)[:20]!r}, BUY or SELL was expected")
        quantity = whole_or_none(row.get("quantity"))
        status = status_of(word, quantity=quantity, filled_quantity=filled, order_type=type_word)
        instrument = self.instrument_of(segment, text_or_none(row.get("securityId")) or "")
        times = (instant_ns_or_none(row.get(name)) for name in at)
        order = BrokerOrder(
            broker_order_id=order_id, tag=text_or_none(row.get("correlationId")) or "", account=self.account,
            instrument=UNLISTED_INSTRUMENT if instrument is None else instrument, transaction=transaction,
            status=status, quantity=max(0, quantity or 0), filled_quantity=max(0, filled or 0),
            trigger_paise=paise_or_none(row.get("triggerPrice")) or None, fills=tuple(fills),
            as_of_ns=next((time for time in times if time is not None), self.now_ns),
            reason=text_or_none(reason) or "",
        )  # fmt: skip
        return told_with_fills(order)


def filled_of(row: Row) -> int | None:
    """What of an order row was filled; None where it does not say."""
    for name in ("filledQty", "filled_qty", "filledQuantity"):
        if name in row:
            return whole_or_none(row[name])
    return None


def status_of(
    word: object, *, quantity: int | None, filled_quantity: int | None, order_type: object = None
) -> BrokerStatus:
    """Dhan's word and quantities as the common status. Quantities decide: a final word without them is UNKNOWN."""
    status = _STATUS.get(str(word).strip().lower().replace(" ", "_").replace("-", "_"), _UNKNOWN)
    if status is _UNKNOWN:
        return status
    sound = quantity is not None and filled_quantity is not None and 0 <= filled_quantity <= quantity
    if not sound or quantity is None or filled_quantity is None or quantity == 0:
        return _UNKNOWN if status.final else status
    if filled_quantity == quantity:
        return BrokerStatus.FILLED
    if status is BrokerStatus.FILLED:
        return _UNKNOWN  # traded, and not all of it: the row was caught between two changes
    if status is BrokerStatus.REJECTED and filled_quantity > 0:
        return BrokerStatus.CANCELLED  # the rest of it was rejected
    if status is _PENDING and filled_quantity > 0:
        return _OPEN
    if status is _OPEN and filled_quantity == 0 and str(order_type).strip().lower() in STOP_WORDS:
        return BrokerStatus.TRIGGER_PENDING
    return status


def told_with_fills(order: BrokerOrder) -> BrokerOrder:
    """UNKNOWN instead of an end whose fills are not all here: they come with the next look."""
    if order.status.final and sum(fill.quantity for fill in order.fills) != order.filled_quantity:
        return replace(order, status=_UNKNOWN, reason=order.reason or "its trades are not all in the trade book yet")
    return order


def fills_by_order(rows: Iterable[Row]) -> dict[str, list[BrokerFill]]:
    """The trade book by order id, in its order. A trade that lacks its order, number, size, price or time is left out,
    so that its order's fills do not add up and the order stays UNKNOWN. A trade that is told twice counts once."""
    fills: dict[str, dict[str, BrokerFill]] = {}
    for row in rows:
        order_id, fill = _fill(row)
        if order_id is not None and fill is not None:
            fills.setdefault(order_id, {})[fill.fill_id] = fill
    return {order_id: list(each.values()) for order_id, each in fills.items()}


def _fill(row: Row) -> tuple[str | None, BrokerFill | None]:
    order_id, number = text_or_none(row.get("orderId")), text_or_none(row.get("exchangeTradeId"))
    quantity, price_paise = whole_or_none(row.get("tradedQuantity")), paise_or_none(row.get("tradedPrice"))
    times = (instant_ns_or_none(row.get(name)) for name in ("exchangeTime", "updateTime", "createTime"))
    at_ns = next((time for time in times if time is not None), None)
    if order_id is None or number is None or at_ns is None or not quantity or not price_paise:
        return order_id, None
    if quantity < 0 or price_paise < 0:
        return order_id, None
    # Both sides of a trade between two of our own orders have one number.
    return order_id, BrokerFill(f"{order_id}-{number}", quantity, price_paise, at_ns)


def small_letters(message: Mapping[str, object]) -> dict[str, object]:
    """The stream writes PascalCase in the documents and camelCase in the SDK."""
    return {str(name).lower(): value for name, value in message.items()}
