"""The book of record against a broker's order book and positions. Pure: two views in, what to do out.

Invariants (property-tested): what agrees is left alone; nothing that a report may settle is called a dispute before it
was heard; an order that was over with us without its whole fill and lives at the broker came late, and is cancelled;
one that has filled less there than with us, or lives there though it was filled, is a dispute; a position is a dispute
only where nothing is under way, and where neither ours nor somebody else's orders explain it or the broker holds less
than ours; what the broker does not hold is reckoned to trades each unit once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tradebus.contracts.orders import Difference, OrderRole, Transaction
from tradebus.execution.trade import Trade
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerOrder, BrokerStatus
from tradebus.trading.states import TERMINAL_ORDER_STATES, OrderState

_TAG_LENGTH, _TAG_START = 20, "tb"
_RESTING = (OrderState.OPEN, OrderState.TRIGGER_PENDING)


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """A line of `orders`, with what its trade adds. Quantities in units, prices in paise."""

    pos_id: str
    order_id: str
    session_id: str
    tag: str
    role: OrderRole
    state: OrderState
    quantity: int
    filled_quantity: int
    trigger_paise: int | None
    broker_order_id: str | None
    instrument: int
    owner: str  # the execution instance that supervises the trade

    @property
    def ended(self) -> bool:
        return self.state in TERMINAL_ORDER_STATES

    @property
    def is_turned(self) -> bool:
        """Whether it is a stop that was made the exit: whatever trigger the broker still shows of it counts for
        nothing, unless it waits for that."""
        return self.role is OrderRole.STOP and not self.trigger_paise


@dataclass(frozen=True, slots=True)
class HeldTrade:
    """What one trade holds, in units; `entry_tags` are its entry orders'."""

    pos_id: str
    instrument: int
    created_ns: int
    open_quantity: int
    is_leaving: bool
    entry_tags: tuple[str, ...]


def held_of(trade: Trade) -> HeldTrade:
    entries = tuple(order.tag for order in trade.orders if order.role is OrderRole.ENTRY)
    leaving = trade.exit_reason is not None
    return HeldTrade(trade.pos_id, trade.instrument, trade.created_ns, trade.open_quantity, leaving, entries)


class ReconcileFinding(StrEnum):
    AGREES = "AGREES"
    HEAR = "HEAR"  # the broker knows more: report its order
    CANCEL = "CANCEL"  # its cancellation was asked for, and it rests there as if it had not been
    REALIGN = "REALIGN"  # a resting stop has another quantity or trigger there: say again what it is to be
    LATE = "LATE"  # it was over with us, and lives there: its request arrived after that was certain not to happen
    HIT = "HIT"  # a stop was triggered and rests unfilled: the price has run past its protection
    DISPUTED = "DISPUTED"


def judge(ours: OwnOrder, theirs: BrokerOrder) -> ReconcileFinding:
    """What one order's two views come to."""
    if ours.broker_order_id not in (None, theirs.broker_order_id):
        return ReconcileFinding.DISPUTED  # a second order that bears its tag
    if ours.filled_quantity > theirs.filled_quantity:
        return ReconcileFinding.DISPUTED
    if sum(fill.quantity for fill in theirs.fills) > ours.filled_quantity:
        return ReconcileFinding.HEAR
    if theirs.filled_quantity > ours.filled_quantity:
        return ReconcileFinding.AGREES  # its fills are not told yet
    if ours.state in (OrderState.PENDING, OrderState.UNKNOWN):
        return ReconcileFinding.HEAR
    if ours.ended:
        if theirs.status.final or not _lives(theirs):
            return ReconcileFinding.AGREES
        if ours.state is not OrderState.FILLED:
            return ReconcileFinding.LATE
        raised = theirs.quantity > ours.filled_quantity
        return ReconcileFinding.HEAR if raised else ReconcileFinding.DISPUTED
    if theirs.status.final:
        return ReconcileFinding.HEAR
    if ours.state is OrderState.CANCEL_PENDING and theirs.status in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING):
        return ReconcileFinding.CANCEL
    if ours.is_turned and ours.state in _RESTING:
        undone = theirs.status is BrokerStatus.TRIGGER_PENDING or theirs.quantity != ours.quantity
        return ReconcileFinding.REALIGN if undone else ReconcileFinding.AGREES
    if ours.state in _RESTING and (
        theirs.quantity != ours.quantity or (ours.trigger_paise or None) != (theirs.trigger_paise or None)
    ):
        if ours.role is OrderRole.STOP:
            return ReconcileFinding.REALIGN
        # Somebody made it larger or smaller at the broker: taken over. Another kind of order is nothing we can be.
        return (
            ReconcileFinding.HEAR
            if (ours.trigger_paise or None) == (theirs.trigger_paise or None)
            else ReconcileFinding.DISPUTED
        )
    if ours.state in _RESTING and ours.role is OrderRole.STOP and theirs.status is BrokerStatus.OPEN:
        return ReconcileFinding.HIT
    return ReconcileFinding.AGREES


def _lives(theirs: BrokerOrder) -> bool:
    """Whether it can still fill: an unknown word, or an end whose fills are not told yet, does not say so."""
    return theirs.status.value in ("OPEN", "TRIGGER_PENDING", "PENDING")


def difference(ours: OwnOrder, theirs: BrokerOrder, *, action: str) -> Difference:
    return Difference(
        what=f"order {ours.tag}",
        ours=f"{ours.state} {ours.filled_quantity}/{ours.quantity}{_at(ours.trigger_paise)}",
        brokers=f"{theirs.status} {theirs.filled_quantity}/{theirs.quantity}{_at(theirs.trigger_paise)}",
        action=action,
    )


def _at(trigger_paise: int | None) -> str:
    return f" trigger {trigger_paise}" if trigger_paise else ""


def lines_by_tag(
    ours: Iterable[OwnOrder], book: Sequence[BrokerOrder]
) -> tuple[dict[str, BrokerOrder], list[Difference]]:
    """The book's line of each tag, and lines that bear the tag of an order of ours which is another one."""
    number_of = {own.tag: own.broker_order_id for own in ours}
    lines: dict[str, BrokerOrder] = {}
    twins = []
    for order in book:
        if not order.tag:
            continue
        if order.tag in number_of and number_of[order.tag] not in (None, order.broker_order_id):
            twins.append(order)
        else:
            lines.setdefault(order.tag, order)
    return lines, [
        Difference(
            what=f"order {order.broker_order_id}",
            ours=f"its tag {order.tag} is order {number_of[order.tag]}",
            brokers=f"{order.status} {order.filled_quantity}/{order.quantity}",
            action="a second order bears our tag: cancel it at the broker, or close what it filled",
        )
        for order in twins
        if order.filled_quantity or not order.status.final
    ]


def living_twins(ours: Iterable[OwnOrder], book: Iterable[BrokerOrder]) -> list[tuple[OwnOrder, BrokerOrder]]:
    """Lines that can still fill and bear the tag of an order of ours which is another one."""
    known = {own.tag: own for own in ours if own.broker_order_id is not None}
    return [
        (known[order.tag], order)
        for order in book
        if order.tag in known and order.broker_order_id != known[order.tag].broker_order_id and _lives(order)
    ]


def filled_twins(ours: Iterable[OwnOrder], book: Iterable[BrokerOrder]) -> list[tuple[OwnOrder, BrokerOrder]]:
    """Lines that have filled, and will fill no more, and bear the tag of an order of ours which is another one."""
    known = {own.tag: own for own in ours if own.broker_order_id is not None}
    return [
        (known[order.tag], order)
        for order in book
        if order.tag in known and order.broker_order_id != known[order.tag].broker_order_id
        and order.status.final and order.fills
    ]  # fmt: skip


def looks_ours(tag: str) -> bool:
    """Whether a tag has the form of ours (tradebus.kernel.ids.derive_tag)."""
    return len(tag) == _TAG_LENGTH and tag.startswith(_TAG_START)


def strangers(book: Sequence[BrokerOrder], own_tags: Iterable[str]) -> tuple[list[Difference], list[Difference]]:
    """Orders of the broker's book that are not in ours: (those that bear our mark and may trade, which is a dispute;
    those of others, which are left alone)."""
    known = set(own_tags)
    disputed: list[Difference] = []
    others: list[Difference] = []
    for order in book:
        if order.tag in known and order.tag:
            continue
        shown = f"{order.status} {order.filled_quantity}/{order.quantity}"
        if looks_ours(order.tag) and (order.filled_quantity or not order.status.final):
            disputed.append(Difference(what=f"order {order.tag}", ours="none", brokers=shown, action="look at it"))
        elif not looks_ours(order.tag):
            others.append(
                Difference(what=f"order {order.broker_order_id}", ours="none", brokers=shown, action="left alone")
            )
    return disputed, others


def net_of(book: Iterable[BrokerOrder]) -> dict[int, int]:
    """Signed quantity per instrument that these orders have filled; unlisted instruments are left out."""
    net: dict[int, int] = {}
    for order in book:
        if order.instrument != UNLISTED_INSTRUMENT and order.filled_quantity:
            sign = 1 if order.transaction is Transaction.BUY else -1
            net[order.instrument] = net.get(order.instrument, 0) + sign * order.filled_quantity
    return net


def traded_by_position(ours: Sequence[OwnOrder], symbols: Mapping[int, str]) -> dict[str, int]:
    """How many units our orders have traded, by what `disputed_positions` calls the position."""
    traded: dict[str, int] = {}
    for order in ours:
        what = position_name(order.instrument, symbols)
        traded[what] = traded.get(what, 0) + order.filled_quantity
    return traded


def uncovered(*, ours: Mapping[int, int], brokers: Mapping[int, int]) -> dict[int, int]:
    """How many units of our net the broker does not have, by instrument: closing them would open a position."""
    found = {}
    for instrument, net in ours.items():
        there = brokers.get(instrument, 0) if net > 0 else -brokers.get(instrument, 0)
        if abs(net) > max(0, there):
            found[instrument] = abs(net) - max(0, there)
    return found


def allot(missing: int, trades: Iterable[HeldTrade], *, tags: Collection[str]) -> dict[str, int]:
    """Which trades of one instrument and account the missing units are reckoned to. First those whose entry is not
    among the book's `tags` (another day's); then those that nobody wants to leave, so that the others find out with
    what is there; of them the newest."""

    def rank(trade: HeldTrade) -> tuple[bool, bool, int, str]:
        return in_book(trade, tags), trade.is_leaving, -trade.created_ns, trade.pos_id

    shares = {}
    for trade in sorted(trades, key=rank):
        shares[trade.pos_id] = min(missing, max(0, trade.open_quantity))
        missing -= shares[trade.pos_id]
    return shares


def in_book(trade: HeldTrade, tags: Collection[str]) -> bool:
    """Whether the broker's book of these tags is the one that the trade's orders are in."""
    return any(tag in tags for tag in trade.entry_tags)


def disputed_positions(
    *,
    ours: Mapping[int, int],
    others: Mapping[int, int],
    brokers: Mapping[int, int],
    symbols: Mapping[int, str],
    converted: Mapping[int, str] | None = None,
) -> list[Difference]:
    """Instruments whose net intraday quantity at the broker is neither ours alone nor ours with that of others' orders,
    or is less than ours whosever orders explain it: what was closed by hand. `converted` says what is held there as
    another product: where that is it, somebody converted the position."""
    converted, gone, found = converted or {}, uncovered(ours=ours, brokers=brokers), list[Difference]()
    for instrument in sorted({*ours, *brokers}):
        mine, theirs = ours.get(instrument, 0), brokers.get(instrument, 0)
        if instrument not in gone and theirs in (mine, mine + others.get(instrument, 0)):
            continue
        shown, action = str(theirs), "look at it"
        if instrument in converted:
            shown = f"{theirs}, and {converted[instrument]}"
            action = "converted at the broker: convert it back, or close it there and `tradebus settle` it"
        elif instrument in gone:
            action = (
                f"{gone[instrument]} not at the broker: closed by hand? Then `tradebus settle` says at which price; no "
                "order of ours closes them"
            )
        found.append(Difference(what=position_name(instrument, symbols), ours=str(mine), brokers=shown, action=action))
    return found


def position_name(instrument: int, symbols: Mapping[int, str]) -> str:
    """What a difference calls the position."""
    return f"position {symbols.get(instrument, instrument)}"
