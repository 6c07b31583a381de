"""What the exchange knows, and what our book says: the one is true, the other is held to it.

exchange's orders ─┐                               ┌─ duplicates, lost fills, orders left, what was sold too much
                   ├─ by tag, position, session ──┤
trades in the book ┘                               └─ seconds without a stop, from every change the exchange told
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from services.sandbox.exchange import SandboxExchange
from services.sandbox.ports import FINAL, SandboxOrder, SandboxStatus
from tradebus.contracts.orders import OrderRole, Transaction
from tradebus.execution.trade import Order, Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_MOMENT_NS = NANOSECONDS_PER_SECOND // 4


@dataclass(frozen=True, slots=True)
class OwnTag:
    """Whose a tag is."""

    trade: Trade
    order: Order


@dataclass(slots=True)
class ExchangeRecord:
    """Every change of every order of some accounts, in the order in which the exchange made them."""

    exchange: SandboxExchange
    told: Callable[[str], None]
    changes: list[SandboxOrder] = field(default_factory=list)

    async def follow(self, account: str) -> None:
        """For ever. The world's."""
        queue = self.exchange.listen_orders(account)
        while True:
            order = await queue.get()
            self.changes.append(order)
            asked = order.request
            what = f"{asked.transaction} {asked.quantity} of {self.exchange.instruments[asked.instrument].symbol}"
            what += f" at {asked.trigger_paise / 100:.2f}" if asked.trigger_paise else ""
            how = f"{order.status} {order.filled_quantity}/{asked.quantity} {order.reason}"
            self.told(f"exchange: order {order.order_id} ({what}, {asked.tag}) {how}")

    def orders(self, accounts: Sequence[str]) -> list[SandboxOrder]:
        """As they stand."""
        return [order for account in accounts for order in self.exchange.orders(account)]


def tags_of(trades: Mapping[str, Trade]) -> dict[str, OwnTag]:
    """By tag."""
    return {order.tag: OwnTag(trade, order) for trade in trades.values() for order in trade.orders}


def signed(order: SandboxOrder, units: int) -> int:
    """Bought units count up, sold ones down."""
    return units if order.request.transaction is Transaction.BUY else -units


def stops_taken_back(changes: Sequence[SandboxOrder], tags: Mapping[str, OwnTag]) -> list[int]:
    """When price protection has taken a stop back: a fault of the exchange's own, once for each stop."""
    died: dict[str, int] = {}
    for change in changes:
        own = tags.get(change.request.tag)
        taken = change.status is SandboxStatus.CANCELLED and change.reason.startswith("price protection")
        if taken and own is not None and own.order.role is OrderRole.STOP:
            died.setdefault(change.order_id, change.updated_ns)
    return list(died.values())


def settled_units(trade: Trade) -> int:
    """What a person's word has closed of it."""
    return sum(own.filled_quantity for own in trade.orders if (own.reason or "").startswith("settled: "))


def lives(order: SandboxOrder) -> bool:
    return order.status not in FINAL


@dataclass(frozen=True, slots=True)
class BareSpan:
    """A position was held and neither covered by a resting stop nor on its way out."""

    pos_id: str
    from_ns: int
    to_ns: int


def bare_spans(
    changes: Sequence[SandboxOrder], tags: Mapping[str, OwnTag], *, by_hand: Set[str], end_ns: int
) -> Iterator[BareSpan]:
    """Of every position, from every change that the exchange told. Where somebody has traded `by_hand` (ids of orders),
    all positions of the account in that instrument count as one: nobody can say whose units he sold."""
    mixed = {(one.account, one.request.instrument) for one in changes if one.order_id in by_hand}
    by_position: dict[str, list[SandboxOrder]] = defaultdict(list)
    for change in changes:
        own = tags.get(change.request.tag)
        if own is not None:
            key = (change.account, change.request.instrument)
            by_position[f"{key[0]} {key[1]}" if key in mixed else own.trade.pos_id].append(change)
        elif change.order_id in by_hand:
            by_position[f"{change.account} {change.request.instrument}"].append(change)
    for pos_id, own_changes in by_position.items():
        now: dict[str, SandboxOrder] = {}
        since_ns: int | None = None
        spans: list[BareSpan] = []
        for change in own_changes:
            now[change.order_id] = change
            bare = _is_bare(now, tags)
            if bare and since_ns is None:
                since_ns = change.updated_ns
            elif not bare and since_ns is not None:
                spans.append(BareSpan(pos_id, since_ns, change.updated_ns))
                since_ns = None
        if since_ns is not None:
            spans.append(BareSpan(pos_id, since_ns, end_ns))
        yield from _joined(spans)


def _joined(spans: Sequence[BareSpan]) -> list[BareSpan]:
    """What stood for a moment only, and was taken back, has covered nothing."""
    joined: list[BareSpan] = []
    for span in spans:
        if joined and span.from_ns - joined[-1].to_ns < _MOMENT_NS:
            span = BareSpan(span.pos_id, joined.pop().from_ns, span.to_ns)
        joined.append(span)
    return joined


def _is_bare(orders: Mapping[str, SandboxOrder], tags: Mapping[str, OwnTag]) -> bool:
    """Whether more is held, or more was closed than was held, than what stands the other way covers."""
    held = sum(signed(order, order.filled_quantity) for order in orders.values())
    covered = 0
    for order in orders.values():
        own = tags.get(order.request.tag)
        closes = own is not None and own.order.role is not OrderRole.ENTRY
        if closes and signed(order, 1) * held < 0 and order.status in _STANDS:
            covered += order.request.quantity - order.filled_quantity
    return abs(held) > covered


_STANDS = (SandboxStatus.OPEN, SandboxStatus.TRIGGER_PENDING)
