"""Takes orders, changes and ends them at an account's word: what an exchange's order entry does before matching.

place ─► checks ─► REJECTED | AFTER_MARKET | matching ─► TRIGGER_PENDING | OPEN ─► COMPLETE | CANCELLED
"""

from collections.abc import Callable, Sequence
from dataclasses import fields as fields_of
from dataclasses import replace
from heapq import heappop, heappush

from services.sandbox.domain.accounts.account import ClientAccount
from services.sandbox.domain.orders.checks import Checks
from services.sandbox.domain.orders.matching_engine import MatchingEngine
from services.sandbox.domain.orders.order import STOP_TYPES, WorkingOrder
from services.sandbox.domain.orders.rules import (
    MODIFICATIONS_MAX,
    at_market,
    check_values,
)
from services.sandbox.ports import (
    ChangedOrder,
    NewOrder,
    Refusal,
    SandboxInstrument,
    SandboxOrder,
    SandboxStatus,
    Validity,
    Why,
)
from tradebus.kernel.time import ist_date

_MINUTE_NS = 60_000_000_000
_CHANGEABLE = tuple(field.name for field in fields_of(ChangedOrder))


class OrderEntry:
    """`checks` are the exchange's; `matching` is where orders go that pass them."""

    def __init__(
        self,
        instruments: Sequence[SandboxInstrument],
        checks: Checks,
        matching: MatchingEngine,
        *,
        now: Callable[[], int],
        account_of: Callable[[str], ClientAccount],
    ) -> None:
        self._instruments, self._checks, self._matching = instruments, checks, matching
        self._now, self._account_of = now, account_of
        self.after_market: dict[str, WorkingOrder] = {}
        self._timed: list[tuple[int, str, WorkingOrder]] = []  # a heap of orders that live some minutes
        self._orders_made = 0

    def place(self, account_name: str, asked: NewOrder, *, forced: bool = False) -> SandboxOrder:
        """Raises Refusal. A forced order is the broker's own: no kill switch and no margin holds it up."""
        now_ns, account = self._now(), self._account_of(account_name)
        instrument = self._instrument(asked.instrument)
        if account.killed and not forced:
            raise Refusal(Why.KILL_SWITCH, "the kill switch of this account is on: no order is taken")
        check_values(asked, instrument, now_ns)
        self._checks.check_time(asked, instrument, now_ns)
        order = self._new_order(account, asked, now_ns)
        account.take(order)
        problem = None if forced else self._checks.rejection(account, order, instrument, now_ns)
        if problem is not None:
            order.set_status(SandboxStatus.REJECTED, now_ns, problem[1])
            account.has_ended(order)
        elif asked.after_market:
            account.open_orders[order.order_id] = self.after_market[order.order_id] = order
            order.set_status(SandboxStatus.AFTER_MARKET, now_ns)
        else:
            account.open_orders[order.order_id] = order
            if asked.validity is Validity.TTL:
                heappush(self._timed, (now_ns + asked.validity_minutes * _MINUTE_NS, order.order_id, order))
            self._matching.enter(order, now_ns)
        return self._matching.report(order)

    def modify(self, account_name: str, order_id: str, change: ChangedOrder) -> SandboxOrder:
        """Raises Refusal. An order that only gives up quantity keeps its place in time."""
        now_ns, account = self._now(), self._account_of(account_name)
        order = self._open_order(account, order_id)
        if order.modifications >= MODIFICATIONS_MAX:
            text = f"order {order_id} has been modified {MODIFICATIONS_MAX} times, which is the most there is"
            raise Refusal(Why.TOO_MANY_MODIFICATIONS, text)
        instrument = self._instrument(order.request.instrument)
        wanted = _changed_request(order.request, change)
        check_values(wanted, instrument, now_ns)
        if order.status is not SandboxStatus.AFTER_MARKET:
            protected = replace(wanted, market_protection_pct=wanted.market_protection_pct or -1)
            self._checks.check_rules(protected, instrument, now_ns)
        if wanted.quantity <= order.filled_quantity:
            text = f"quantity {wanted.quantity} is not above what has traded already, {order.filled_quantity}"
            raise Refusal(Why.BAD_VALUE, text)
        before, limit_before = order.request, order.limit_paise
        woken = order.status is SandboxStatus.OPEN and before.order_type in STOP_TYPES
        waits = wanted.order_type in STOP_TYPES and not woken  # a stop that has woken is a limit order
        order.request = wanted
        order.limit_paise = self._checks.limit(wanted, instrument)
        problem = self._checks.rejection(account, order, instrument, now_ns, stop_waits=waits)
        order.request, limit_after = before, order.limit_paise
        order.limit_paise = limit_before
        if problem is not None:
            raise Refusal(*problem)
        self._matching.remove(order)
        order.modifications += 1
        keeps_place = limit_after == limit_before and wanted == replace(before, quantity=wanted.quantity)
        keeps_place = keeps_place and wanted.quantity <= before.quantity
        self._matching.reenter(order, wanted, limit_after, now_ns, keeps_place=keeps_place, waits=waits)
        return self._matching.report(order)

    def cancel(self, account_name: str, order_id: str, *, reason: str = "") -> SandboxOrder:
        """Raises Refusal."""
        order = self._open_order(self._account_of(account_name), order_id)
        self.end(order, SandboxStatus.CANCELLED, reason)
        return order.snapshot()

    def end(self, order: WorkingOrder, status: SandboxStatus, reason: str = "") -> None:
        """Takes an open order out of everything."""
        self.after_market.pop(order.order_id, None)
        self._matching.end(order, status, reason)

    def release_after_market(self, market_class: str) -> None:
        """At the open of a class: what was left for it goes to the book, or is rejected where it no longer may."""
        now_ns = self._now()
        for order in list(self.after_market.values()):
            instrument = self._instruments[order.request.instrument]
            if instrument.market_class != market_class:
                continue
            del self.after_market[order.order_id]
            account = self._account_of(order.account)
            order.limit_paise = self._checks.limit(order.request, instrument)
            problem = self._checks.rejection(account, order, instrument, now_ns)
            if problem is not None:
                self.end(order, SandboxStatus.REJECTED, problem[1])
                continue
            self._matching.enter(order, now_ns)
            self._matching.report(order)

    def order(self, account_name: str, order_id: str) -> SandboxOrder:
        """Raises Refusal for what the day does not know."""
        order = self._account_of(account_name).orders.get(order_id)
        if order is None:
            raise Refusal(Why.UNKNOWN_ORDER, f"there is no order {order_id!r} today")
        return order.snapshot()

    def limit_of(self, request: NewOrder) -> int:
        """The price a request could trade at now."""
        return self._checks.limit(request, self._instrument(request.instrument))

    def end_timed(self, now_ns: int) -> None:
        """Ends the orders whose minutes are over."""
        while self._timed and self._timed[0][0] <= now_ns:
            order = heappop(self._timed)[2]
            if not order.final:
                self.end(order, SandboxStatus.CANCELLED, "its time to live is over")

    def _new_order(self, account: ClientAccount, asked: NewOrder, now_ns: int) -> WorkingOrder:
        self._orders_made += 1
        order_id = f"{ist_date(now_ns):%y%m%d}{self._orders_made:09d}"
        order = WorkingOrder(order_id, f"1{order_id}", account.name, asked, now_ns)
        order.limit_paise = self._checks.limit(asked, self._instruments[asked.instrument])
        return order

    def _instrument(self, number: int) -> SandboxInstrument:
        if not 0 <= number < len(self._instruments):
            raise Refusal(Why.UNKNOWN_INSTRUMENT, f"there is no instrument {number}")
        return self._instruments[number]

    def _open_order(self, account: ClientAccount, order_id: str) -> WorkingOrder:
        order = account.orders.get(order_id)
        if order is None:
            raise Refusal(Why.UNKNOWN_ORDER, f"there is no order {order_id!r} today")
        if order.final:
            raise Refusal(Why.ORDER_ENDED, f"order {order_id} has ended: {order.status.value}")
        return order


def _changed_request(request: NewOrder, change: ChangedOrder) -> NewOrder:
    fields = {name: getattr(change, name) for name in _CHANGEABLE if getattr(change, name) is not None}
    changed = replace(request, **fields)
    if at_market(changed.order_type) and changed.market_protection_pct == 0:
        changed = replace(changed, market_protection_pct=-1)  # a modification to MARKET brings no protection of its own
    return changed
