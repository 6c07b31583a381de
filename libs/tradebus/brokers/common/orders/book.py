"""Order books and trades in the common vocabulary, from lines that the adapters read.

Invariants (property-tested with each adapter): a row that cannot be read whole becomes no order at all; a final status
is told only with the fills that make it up; FILLED and REJECTED follow from documented words and quantities alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from tradebus.brokers.common.replies.rows import Row, Unreadable
from tradebus.brokers.reference import InstrumentOf
from tradebus.contracts.orders import Transaction
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerFill, BrokerOrder, BrokerStatus

FillsByOrder = Mapping[str, tuple[BrokerFill, ...]]
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLine:
    """What one row of an order book says. Quantities in units; `tags`: all that it is found by."""

    order_id: str
    tag: str
    tags: frozenset[str]
    transaction: Transaction
    word: str
    quantity: int
    filled_quantity: int
    trigger_paise: int | None
    segment: str
    token: str
    reason: str
    as_of_ns: int | None


class StatusOf(Protocol):
    """A broker's word and quantities as the common status."""

    def __call__(self, word: str, *, quantity: int, filled_quantity: int) -> BrokerStatus: ...


def decided(status: BrokerStatus, *, quantity: int, filled_quantity: int) -> BrokerStatus:
    """The status that a word stands for, in the light of the quantities (units), which decide fills. UNKNOWN where the
    two disagree."""
    if quantity <= 0 or not 0 <= filled_quantity <= quantity:
        return BrokerStatus.UNKNOWN
    if filled_quantity == quantity:
        return BrokerStatus.FILLED
    if status is BrokerStatus.FILLED:  # says complete, and is not
        return BrokerStatus.UNKNOWN
    if status is BrokerStatus.REJECTED and filled_quantity > 0:
        return BrokerStatus.CANCELLED  # the rest was rejected; without an end it would hold the exit up
    return status


def order_in(
    line: BookLine,
    fills: Sequence[BrokerFill],
    *,
    account: str,
    status_of: StatusOf,
    instrument_of: InstrumentOf,
    now_ns: int,
) -> BrokerOrder:
    """The order with its fills, which may be newer than the line. Where they do not add up yet, its end is not told."""
    total = sum(fill.quantity for fill in fills)
    filled = max(line.filled_quantity, total)
    status = status_of(line.word, quantity=line.quantity, filled_quantity=filled)
    if status.final and total != filled:
        status = BrokerStatus.UNKNOWN
    instrument = instrument_of(line.segment, line.token)
    latest_ns = max((fill.ts_event_ns for fill in fills), default=0)
    return BrokerOrder(
        broker_order_id=line.order_id, tag=line.tag, account=account,
        instrument=UNLISTED_INSTRUMENT if instrument is None else instrument, transaction=line.transaction,
        status=status, quantity=line.quantity, filled_quantity=filled, trigger_paise=line.trigger_paise,
        fills=tuple(fills), as_of_ns=max(now_ns if line.as_of_ns is None else line.as_of_ns, latest_ns),
        reason=line.reason,
    )  # fmt: skip


def fills_in(broker: str, rows: Iterable[Row], read: Callable[[Row], tuple[str, BrokerFill]]) -> FillsByOrder:
    """Trades by order id, each once. `read` tells a row's order id and fill. A row that cannot be read is left out: its
    order's fills then do not add up, which is noticed."""
    found: dict[str, dict[str, BrokerFill]] = defaultdict(dict)
    for row in rows:
        try:
            order_id, fill = read(row)
        except Unreadable as error:
            _log.error(f"{broker}: a trade cannot be read", reason=str(error))
            continue
        found[order_id][fill.fill_id] = fill
    return {order_id: tuple(fills.values()) for order_id, fills in found.items()}
