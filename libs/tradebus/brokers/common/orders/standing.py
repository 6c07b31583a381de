"""A broker's own triggers (GTT) behind the order gateway's port: one of two legs looks like one order.

    GTT placed ─► trigger waits: TRIGGER_PENDING ─► a leg is reached ─► the order it has placed, under the trigger's id
                     └─ deleted, expired ─► CANCELLED          └─ that was refused ─► REJECTED

Brokers give triggers no tag, so the tag belongs to a trigger by its id: learned from the answer to its placement, or
from whoever has it in a book (`expect`). Where that answer was lost, or its process died, a trigger is found by what it
was to be. Invariants (tested): an order that a trigger has placed is told once, as the trigger's; what cannot be told
apart is nobody's; a list that cannot be read says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import structlog

from tradebus.brokers.common.orders.settling import SETTLE_SECONDS, Settling
from tradebus.brokers.common.replies.rows import Unreadable
from tradebus.brokers.errors import BrokerError
from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.kernel.timers import Timers
from tradebus.trading.orders import (
    UNLISTED_INSTRUMENT,
    BrokerOrder,
    BrokerStatus,
    Lookup,
    OrderModification,
    OrderRequest,
    Outcome,
    Result,
)

_CLOCKS_APART_NS = 60_000_000_000  # a broker's clock and ours
_log = structlog.get_logger()


class TriggerState(StrEnum):
    WAITS = "WAITS"
    FIRED = "FIRED"  # a leg has placed its order
    OVER = "OVER"  # deleted, expired
    REFUSED = "REFUSED"  # a leg was reached, and its order refused
    UNKNOWN = "UNKNOWN"


_STATUS = {
    TriggerState.WAITS: BrokerStatus.TRIGGER_PENDING, TriggerState.OVER: BrokerStatus.CANCELLED,
    TriggerState.REFUSED: BrokerStatus.REJECTED,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerTrigger:
    """One trigger as the broker lists it. `triggers_paise` of its legs, ascending; `order_id` of what a leg placed;
    `instrument` is UNLISTED_INSTRUMENT where it is none that is known, or the position would not be intraday. Of one
    that cannot be read nothing is known but its id."""

    trigger_id: str
    state: TriggerState
    instrument: int = UNLISTED_INSTRUMENT
    transaction: Transaction | None = None
    quantity: int = 0
    triggers_paise: tuple[int, ...] = ()
    order_id: str | None = None
    reason: str = ""
    created_ns: int = 0


class TriggerGateway(Protocol):
    """A broker's triggers. Outcomes name the trigger's id; none of the three raises."""

    async def place(self, request: OrderRequest) -> Outcome: ...

    async def modify(self, trigger_id: str, change: OrderModification) -> Outcome: ...

    async def delete(self, trigger_id: str) -> Outcome: ...

    async def listed(self) -> Sequence[BrokerTrigger]:
        """All of the account, ended ones too. Raises BrokerError or Unreadable."""


class StandingOrders:
    """See `tradebus.brokers.ports.OrderGateway`: `orders` with the login's triggers beside them. The list of triggers
    is asked for once one is known, and not before; where the book `shows_all` of them that wait, always."""

    def __init__(
        self, orders: OrderGateway, triggers: TriggerGateway, *, timers: Timers, shows_all: bool = False,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:  # fmt: skip
        self._orders, self._triggers, self._timers, self._shows_all = orders, triggers, timers, shows_all
        self._strangers: set[str] = set()  # ids of triggers that wait and are nobody's we know
        self._settling = Settling(settle_seconds, timers=timers)
        self._requests: dict[str, OrderRequest] = {}  # by tag, of orders that are triggers
        self._ids: dict[str, str] = {}  # of those whose trigger is known, by tag

    async def place(self, request: OrderRequest) -> Outcome:
        if request.order_type is not OrderType.GTT:
            return await self._orders.place(request)
        self._requests[request.tag] = request
        outcome = await self._settling.placed(request.tag, self._triggers.place(request))
        if outcome.broker_order_id is not None:
            self._ids[request.tag] = outcome.broker_order_id
        return outcome

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        if not self._is_trigger(broker_order_id):
            return await self._orders.modify(account, broker_order_id, change)
        return await self._triggers.modify(broker_order_id, change)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """Of a trigger that has fired the order that it placed."""
        if not self._is_trigger(broker_order_id):
            return await self._orders.cancel(account, broker_order_id, at_ns=at_ns)
        outcome = await self._triggers.delete(broker_order_id)
        if outcome.result is not Result.REFUSED:
            return outcome
        fired = next((one for one in await self._listed() or () if one.trigger_id == broker_order_id), None)
        if fired is None or fired.order_id is None:
            return outcome
        placed = await self._orders.cancel(account, fired.order_id, at_ns=at_ns)
        accepted = placed.result is Result.ACCEPTED
        return Outcome(placed.result, broker_order_id if accepted else None, placed.reason)

    def expect(self, request: OrderRequest, broker_order_id: str | None) -> None:
        """There is an order of an earlier life, or of another process, that is a trigger; its id where that is
        known."""
        self._requests.setdefault(request.tag, request)
        if broker_order_id is not None:
            self._ids[request.tag] = broker_order_id

    async def find_by_tag(self, account: str, tag: str) -> Lookup:
        request = self._requests.get(tag)
        if request is None:
            return await self._orders.find_by_tag(account, tag)
        asked_ns = self._timers.monotonic_ns()
        listed = await self._listed()
        if listed is None or self._settling.under_way(tag):
            return Lookup(None, definitive=False)
        if tag not in self._ids and not self._recognise(request, listed):
            return Lookup(None, definitive=False)
        trigger = next((one for one in listed if one.trigger_id == self._ids.get(tag)), None)
        if trigger is None:
            return Lookup(None, definitive=self._settling.absent(tag, asked_ns=asked_ns))
        book = await self._orders.order_book(account) if trigger.order_id is not None else ()
        if book is None:
            return Lookup(None, definitive=False)
        return Lookup(_as_order(trigger, request, book), definitive=True)

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        book = await self._orders.order_book(account)
        if book is None or not (self._ids or self._shows_all):
            return book
        listed = await self._listed()
        if listed is None:
            return None
        tags = {trigger_id: tag for tag, trigger_id in self._ids.items()}
        ours = [one for one in listed if one.trigger_id in tags]
        placed = {one.order_id for one in ours}
        others = [self._strange(one, account) for one in listed] if self._shows_all else []
        return [
            *(order for order in book if order.broker_order_id not in placed),
            *(_as_order(one, self._requests[tags[one.trigger_id]], book) for one in ours),
            *(order for order in others if order is not None),
        ]

    def _is_trigger(self, broker_order_id: str) -> bool:
        return broker_order_id in self._ids.values() or broker_order_id in self._strangers

    async def _listed(self) -> Sequence[BrokerTrigger] | None:
        try:
            return await self._triggers.listed()
        except (BrokerError, Unreadable) as error:
            _log.warning("the list of triggers cannot be read", reason=str(error))
            return None

    def _recognise(self, request: OrderRequest, listed: Sequence[BrokerTrigger]) -> bool:
        """Finds the trigger of an order whose placement nobody has answered. False where several could be it."""
        known = set(self._ids.values())
        found = [one for one in listed if one.trigger_id not in known and self._could_be(one, request)]
        if len(found) == 1:
            self._ids[request.tag] = found[0].trigger_id
        elif found:
            ids = [one.trigger_id for one in found]
            _log.error("several triggers could be one order: look at the account", tag=request.tag, triggers=ids)
        return len(found) <= 1

    def _could_be(self, trigger: BrokerTrigger, request: OrderRequest) -> bool:
        legs = tuple(sorted((request.trigger_paise or 0, request.target_paise or 0)))
        same = trigger.transaction is request.transaction and trigger.triggers_paise == legs
        fits = trigger.quantity <= request.quantity  # that may have grown while nobody answered
        young = trigger.created_ns >= request.at_ns - _CLOCKS_APART_NS
        return same and fits and young and trigger.instrument == request.instrument

    def _strange(self, trigger: BrokerTrigger, account: str) -> BrokerOrder | None:
        """One that waits and is nobody's we know, as the book shows others' orders; None of any other."""
        unknown = trigger.trigger_id not in self._ids.values() and trigger.instrument != UNLISTED_INSTRUMENT
        if not unknown or trigger.state is not TriggerState.WAITS or trigger.transaction is None:
            return None
        self._strangers.add(trigger.trigger_id)
        return BrokerOrder(
            broker_order_id=trigger.trigger_id, tag="", account=account, instrument=trigger.instrument,
            transaction=trigger.transaction, status=BrokerStatus.TRIGGER_PENDING, quantity=trigger.quantity,
            filled_quantity=0, trigger_paise=_stop_paise(trigger, trigger.transaction), fills=(),
            as_of_ns=trigger.created_ns,
        )  # fmt: skip


def _as_order(trigger: BrokerTrigger, request: OrderRequest, book: Sequence[BrokerOrder]) -> BrokerOrder:
    """A trigger of ours: what it has placed, under its own id, once that is in the book."""
    stop_paise = _stop_paise(trigger, request.transaction) or request.trigger_paise
    placed = next((order for order in book if order.broker_order_id == trigger.order_id), None)
    if placed is not None:
        return replace(
            placed, broker_order_id=trigger.trigger_id, tag=request.tag, instrument=request.instrument,
            trigger_paise=stop_paise,
        )  # fmt: skip
    return BrokerOrder(
        broker_order_id=trigger.trigger_id, tag=request.tag, account=request.account, instrument=request.instrument,
        transaction=request.transaction, status=_STATUS.get(trigger.state, BrokerStatus.UNKNOWN),
        quantity=trigger.quantity or request.quantity, filled_quantity=0, trigger_paise=stop_paise, fills=(),
        as_of_ns=max(trigger.created_ns, request.at_ns), reason=trigger.reason,
    )  # fmt: skip


def _stop_paise(trigger: BrokerTrigger, transaction: Transaction) -> int | None:
    """A long's stop is the lower leg."""
    legs = trigger.triggers_paise
    return (legs[0] if transaction is Transaction.SELL else legs[-1]) if legs else None
