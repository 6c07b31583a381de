"""Closing a broker account out from its own books, without ours: what to cancel, what to close, in which order. Pure.

    order book, positions ─► plan_closing ─► cancel · close · wait · left alone

Invariants (property-tested):
- no exit takes a position through zero: it is never larger than what the broker holds, nor than what is ours of it,
- what is not ours is left alone, unless `everything` is wanted: positions that our orders do not explain, orders of
  others but those that rest on a position which is closed whole,
- nothing is closed of an instrument while an order that could close it too may still fill, or is not known to have
  failed: there are never two live exits of one position,
- a plan that is flat cancels nothing, closes nothing and waits for nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tradebus.contracts.orders import Transaction
from tradebus.execution.reconciliation import net_of
from tradebus.trading.orders import UNLISTED_INSTRUMENT, BrokerOrder, BrokerStatus


class CancelReason(StrEnum):
    OURS = "ours"
    RESTS_ON_CLOSED = "rests on a position that is closed whole"
    EVERYTHING = "everything was asked for"


@dataclass(frozen=True, slots=True)
class AccountView:
    """What the broker shows. `intraday` is its signed net quantity per instrument, in units."""

    orders: Sequence[BrokerOrder]
    intraday: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Cancelling:
    order: BrokerOrder
    reason: CancelReason


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """`quantity`, signed units, is not ours to close; `orders` are others' that rest on the instrument."""

    instrument: int
    quantity: int
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClosingPlan:
    """`close` is what can be closed now, as signed units held; `waiting` what must wait for orders to end first, and
    `unlisted` what nothing can be sent for, because the broker's terms of it are not known: its stops stay."""

    cancel: tuple[Cancelling, ...]
    close: Mapping[int, int]
    waiting: Mapping[int, int]
    unlisted: Mapping[int, int]
    left: tuple[LeftAlone, ...]
    unresolved: tuple[str, ...]

    @property
    def flat(self) -> bool:
        """Nothing of ours is held, rests, or may still turn up."""
        return not (self.cancel or self.close or self.waiting or self.unlisted or self.unresolved)


def traded_by_us(view: AccountView, is_ours: Callable[[str], bool]) -> dict[int, int]:
    """What our orders of the day have netted, in signed units per instrument."""
    return net_of(order for order in view.orders if order.tag and is_ours(order.tag))


def plan_closing(
    view: AccountView, *, is_ours: Callable[[str], bool], everything: bool, listed: Collection[int],
    unresolved: Mapping[str, int], young: Collection[str],
) -> ClosingPlan:  # fmt: skip
    """What to do next. `listed` are the instruments that an exit can be sent for, `unresolved` the tags, with their
    instruments, of which nobody knows whether they reached the broker (UNLISTED_INSTRUMENT: nothing waits for it), and
    `young` the tags of exits that are given time to fill."""

    def ours(order: BrokerOrder) -> bool:
        return bool(order.tag) and is_ours(order.tag)

    explained = traded_by_us(view, is_ours)
    closable = {
        instrument: quantity
        for instrument, net in view.intraday.items()
        if (quantity := net if everything else _common(explained.get(instrument, 0), net))
    }
    unlisted = {instrument: quantity for instrument, quantity in closable.items() if instrument not in listed}
    live = [order for order in view.orders if not order.status.final]
    cancel = []
    for order in live:
        reason = _reason_to_cancel(order, view, closable, ours=ours(order), everything=everything)
        protects = order.instrument in unlisted and _closes(order, unlisted[order.instrument])
        filling = order.tag in young and _fits(order, closable.get(order.instrument, 0))
        if reason is not None and not protects and not filling:
            cancel.append(Cancelling(order, reason))
    taken = {one.order.broker_order_id for one in cancel}
    blocked = {
        order.instrument for order in live
        if order.instrument in closable and _closes(order, closable[order.instrument])
        and (ours(order) or order.broker_order_id in taken)
    } | set(unresolved.values())  # fmt: skip
    sendable = {instrument: quantity for instrument, quantity in closable.items() if instrument not in unlisted}
    return ClosingPlan(
        cancel=tuple(cancel),
        close={one: quantity for one, quantity in sendable.items() if one not in blocked},
        waiting={one: quantity for one, quantity in sendable.items() if one in blocked},
        unlisted=unlisted,
        left=tuple(_left_alone(view, closable, [one for one in live if one.broker_order_id not in taken], ours)),
        unresolved=tuple(sorted(unresolved)),
    )


def _reason_to_cancel(
    order: BrokerOrder, view: AccountView, closable: Mapping[int, int], *, ours: bool, everything: bool
) -> CancelReason | None:
    if ours:
        return CancelReason.OURS
    if everything:
        return CancelReason.EVERYTHING
    held = closable.get(order.instrument, 0)
    whole = held != 0 and held == view.intraday.get(order.instrument, 0)
    # Nothing of anybody else's is held there that it could protect, and on what is closed it would open a position.
    return CancelReason.RESTS_ON_CLOSED if whole and _closes(order, held) else None


def _common(ours: int, brokers: int) -> int:
    """What of ours the broker's net still has: 0 where the two have different signs."""
    if ours * brokers <= 0:
        return 0
    return min(ours, brokers) if ours > 0 else max(ours, brokers)


def _closes(order: BrokerOrder, held: int) -> bool:
    """Whether the order is of the direction that makes what is held smaller."""
    return (order.transaction is Transaction.SELL) == (held > 0)


def _fits(order: BrokerOrder, held: int) -> bool:
    """Whether what is left of the order closes what is held and no more."""
    return held != 0 and _closes(order, held) and order.quantity - order.filled_quantity <= abs(held)


def _left_alone(
    view: AccountView, closable: Mapping[int, int], live: Iterable[BrokerOrder], ours: Callable[[BrokerOrder], bool]
) -> Iterable[LeftAlone]:
    resting: dict[int, list[str]] = {}
    for order in live:
        if not ours(order) and order.status is not BrokerStatus.CANCEL_PENDING:
            resting.setdefault(order.instrument, []).append(order.broker_order_id)
    for instrument in sorted({*view.intraday, *resting}):
        quantity = view.intraday.get(instrument, 0) - closable.get(instrument, 0)
        orders = tuple(resting.get(instrument, ()))
        if instrument != UNLISTED_INSTRUMENT and (quantity or orders):
            yield LeftAlone(instrument, quantity, orders)
