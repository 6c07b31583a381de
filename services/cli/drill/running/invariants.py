"""What must be so at the end of every run, whatever befell it. Each is a line of the report.

Truth is the exchange's own book; every violation names orders and positions as they are in the run's story.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.cli.drill.running.truth import BareSpan, OwnTag, lives, settled_units, signed
from services.sandbox.ports import SandboxOrder, SandboxStatus
from tradebus.contracts.orders import OrderRole
from tradebus.execution.step import NewFill
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.states import OrderState

BARE_SECONDS = 5.0
# Where several faults come together: as long as an exit's absence takes, and a request that hangs for ten seconds.
SEVERAL_SECONDS = 35.0
_ROUNDING_SECONDS = 0.25  # of latencies between the exchange's clock and the machine's
_RECENT_NS = 10 * NANOSECONDS_PER_SECOND
# Rules about what an order is (`tradebus.calendar.legality`).
_FORBIDDEN = frozenset({
    "not_tradable", "market_protection", "option_stop_market", "quantity", "lot_size", "freeze_quantity", "tick_size",
    "stop_limit",
})  # fmt: skip
SEVERAL = "several faults at once"


class Invariant(StrEnum):
    DUPLICATE_ORDERS = "duplicate orders"
    LOST_FILLS = "lost fills"
    UNPROTECTED = "positions unprotected for more than 5 s"
    UNRESOLVED = "orders whose outcome stays unknown"
    BOOKS_DIFFER = "ledgers that differ from the exchange's book"
    STOPPED_WITH_ORDERS = "sessions STOPPED with something left at the broker"
    FOREIGN_LOTS = "sessions whose lots another's close has touched"
    DISOBEYED = "FLATTEN or KILL that left something"
    FORBIDDEN = "orders that the exchange's rules forbid"
    SERVICE_ENDED = "services that ended by themselves"
    NOT_FINISHED = "runs that come to no end"


@dataclass(frozen=True, slots=True)
class Violation:
    invariant: Invariant
    text: str


@dataclass(frozen=True, slots=True)
class KnownOpen:
    """A position stood bare for so long, and it is known why nothing better is done about that yet."""

    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BookAtEnd:
    """Both books."""

    orders: Sequence[SandboxOrder]
    tags: Mapping[str, OwnTag]
    trades: Mapping[str, Trade]
    fills: Mapping[str, Sequence[NewFill]]
    manual: frozenset[str]  # ids of orders that a person placed


def duplicate_orders(book: BookAtEnd) -> Iterator[Violation]:
    """Two orders of one tag, of which more than one did or could do anything."""
    by_tag: dict[str, list[SandboxOrder]] = defaultdict(list)
    for order in book.orders:
        if order.status is not SandboxStatus.REJECTED and order.request.tag:
            by_tag[order.request.tag].append(order)
    for tag, orders in by_tag.items():
        if len(orders) > 1:
            yield Violation(Invariant.DUPLICATE_ORDERS, f"tag {tag}: orders {[one.order_id for one in orders]}")


def lost_fills(book: BookAtEnd) -> Iterator[Violation]:
    """Trades of the exchange that our book lacks or has otherwise, and fills that no exchange made."""
    ours = {one.fill.fill_id: one.fill for fills in book.fills.values() for one in fills}
    theirs = {
        trade.trade_id: trade for order in book.orders if order.request.tag in book.tags for trade in order.trades
    }
    for trade_id, trade in theirs.items():
        found = ours.get(trade_id)
        if found is None:
            yield Violation(Invariant.LOST_FILLS, f"trade {trade_id} of order {trade.order_id} is not in the ledger")
        elif (found.quantity, found.price_paise) != (trade.quantity, trade.price_paise):
            text = f"trade {trade_id}: {found.quantity} at {found.price_paise}"
            yield Violation(Invariant.LOST_FILLS, f"{text}, at the exchange {trade.quantity} at {trade.price_paise}")
    by_hand = {trade.trade_id for order in book.orders if order.order_id in book.manual for trade in order.trades}
    for fill_id in ours.keys() - theirs.keys() - by_hand:
        yield Violation(Invariant.LOST_FILLS, f"fill {fill_id} is of no trade of the exchange")


def unprotected(
    spans: Sequence[BareSpan], excuses: Sequence[tuple[int, int, str]], faults_ns: Sequence[tuple[int, int]]
) -> Iterator[Violation | KnownOpen]:
    """Longest stretch of each span in which somebody could have acted. `excuses`: from, to, why. Where an
    excuse is what keeps it below the limit, that is told as known; so are spans of some seconds more in which several
    faults came together, `faults_ns` from their beginning to their end: within the time one needs to be got over, the
    next."""
    for span in spans:
        cut = sorted(one for one in excuses if one[0] < span.to_ns and one[1] > span.from_ns)
        seconds = _longest(span, cut) / NANOSECONDS_PER_SECOND
        if seconds > BARE_SECONDS + _ROUNDING_SECONDS:
            recent_ns = span.from_ns - _RECENT_NS
            several = sum(to_ns >= recent_ns and from_ns <= span.to_ns for from_ns, to_ns in faults_ns) > 1
            if several and seconds <= SEVERAL_SECONDS + _ROUNDING_SECONDS:
                yield KnownOpen(SEVERAL, seconds)
            else:
                yield Violation(Invariant.UNPROTECTED, f"position {span.pos_id}: {seconds:.1f} s")
            continue
        whole = (span.to_ns - span.from_ns) / NANOSECONDS_PER_SECOND
        if whole > BARE_SECONDS + _ROUNDING_SECONDS:
            yield KnownOpen(max(cut, key=lambda one: one[1] - one[0])[2], whole)


def unresolved(book: BookAtEnd) -> Iterator[Violation]:
    """Orders that our book does not know the end of, once all is quiet."""
    for trade in book.trades.values():
        for order in trade.orders:
            if not order.ended:
                unknown = order.state in (OrderState.UNKNOWN, OrderState.PENDING)
                invariant = Invariant.UNRESOLVED if unknown else Invariant.BOOKS_DIFFER
                yield Violation(invariant, f"order {order.tag} ({order.role}) is {order.state}")


def books_differ(book: BookAtEnd) -> Iterator[Violation]:
    """Quantities by order, and what lives at the exchange."""
    for order in book.orders:
        own = book.tags.get(order.request.tag)
        if own is None:
            if order.order_id not in book.manual:
                yield Violation(Invariant.BOOKS_DIFFER, f"order {order.order_id} is of nobody")
            continue
        if own.order.filled_quantity != order.filled_quantity and own.order.broker_order_id == order.order_id:
            text = f"order {order.order_id}: {own.order.filled_quantity} filled in the ledger"
            yield Violation(Invariant.BOOKS_DIFFER, f"{text}, {order.filled_quantity} at the exchange")
        if lives(order):
            yield Violation(Invariant.BOOKS_DIFFER, f"order {order.order_id} ({own.order.role}) lives: {order.status}")
    net: dict[int, int] = defaultdict(int)
    for order in book.orders:
        net[order.request.instrument] += signed(order, order.filled_quantity)
    for instrument, units in net.items():
        if units:
            yield Violation(Invariant.BOOKS_DIFFER, f"{units} of instrument {instrument} are held at the end")


def foreign_lots(book: BookAtEnd) -> Iterator[Violation]:
    """The orders of each position net to what it holds: no other's lots were sold for it, nor its for another."""
    held: dict[str, int] = defaultdict(int)
    for order in book.orders:
        own = book.tags.get(order.request.tag)
        if own is not None:
            held[own.trade.pos_id] += signed(order, order.filled_quantity)
    for pos_id, units in held.items():
        trade = book.trades[pos_id]
        units -= trade.side.sign * settled_units(trade)
        if units:
            text = f"position {pos_id} of {trade.session_id}: its orders net to {units}"
            yield Violation(Invariant.FOREIGN_LOTS, text)


def forbidden(book: BookAtEnd) -> Iterator[Violation]:
    """Orders that we, or the exchange, refused for what they are and not for when they came."""
    for own in book.tags.values():
        rule = (own.order.reason or "").removeprefix("not sent: ").partition(":")[0]
        if rule in _FORBIDDEN:
            yield Violation(Invariant.FORBIDDEN, f"order {own.order.tag} ({own.order.role}): {own.order.reason}")


def left_at_stop(orders: Sequence[SandboxOrder], tags: Mapping[str, OwnTag], session: str) -> Iterator[Violation]:
    """At the moment in which a session is said to be STOPPED."""
    net: dict[int, int] = defaultdict(int)
    for order in orders:
        own = tags.get(order.request.tag)
        if own is None or own.trade.session_id != session:
            continue
        net[order.request.instrument] += signed(order, order.filled_quantity)
        if lives(order):
            text = f"{session}: order {order.order_id} ({own.order.role}) is {order.status}"
            yield Violation(Invariant.STOPPED_WITH_ORDERS, text)
    for trade in {own.trade.pos_id: own.trade for own in tags.values() if own.trade.session_id == session}.values():
        net[trade.instrument] -= trade.side.sign * settled_units(trade)
    for instrument, units in net.items():
        if units:
            yield Violation(Invariant.STOPPED_WITH_ORDERS, f"{session}: {units} of instrument {instrument} are held")


def at_end(book: BookAtEnd) -> list[Violation]:
    """All of them that are asked at the end."""
    checks = (duplicate_orders, lost_fills, unresolved, books_differ, foreign_lots, forbidden)
    return [found for check in checks for found in check(book)]


def entries_of(book: BookAtEnd) -> int:
    """How many entries filled."""
    return sum(own.order.role is OrderRole.ENTRY and own.order.filled_quantity > 0 for own in book.tags.values())


def _longest(span: BareSpan, cut: Sequence[tuple[int, int, str]]) -> int:
    """The longest part of the span that none of the others covers, in ns."""
    longest, reached = 0, span.from_ns
    for from_ns, to_ns, _ in cut:
        longest = max(longest, from_ns - reached)
        reached = max(reached, to_ns)
    return max(longest, span.to_ns - reached)
