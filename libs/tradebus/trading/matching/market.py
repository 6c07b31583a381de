"""The paper broker's market: the orders that wait in it, and which of them changes next. Pure, in memory.

It decides; whoever keeps the book says what became of it. An order that changed is handed out, written, and given back
with `follow`: one at a time, so that what one leads to is done before the next is looked at, with a crash between or
without. Orders are looked at in the order they entered the book.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from tradebus.contracts.orders import OrderType
from tradebus.trading.matching.conservative import TickQuote, rest_of_minute
from tradebus.trading.matching.paper import (
    PaperOrder,
    catch_up,
    due_instants,
    match,
    refusal,
    request_change,
)
from tradebus.trading.matching.touch import next_touch
from tradebus.trading.orders import InstrumentTicks, OrderModification, Outcome, Result


class PaperMarket:
    """Follows orders until they are final."""

    def __init__(self) -> None:
        self._followed: dict[int, dict[str, PaperOrder]] = defaultdict(dict)
        self._effect_ns: int | None = None
        self._is_effect_known = True

    def follow(self, order: PaperOrder) -> None:
        """Knows the order as it is in the book now; one that is final is let go."""
        followed = self._followed[order.request.instrument]
        if order.status.final:
            followed.pop(order.broker_order_id, None)
        else:
            followed[order.broker_order_id] = order
        self._is_effect_known = False

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        """The index, at or after `start`, of the first tick that can change an order of this instrument."""
        found = [
            touch
            for order in self._followed.get(instrument, {}).values()
            if (touch := next_touch(order, ticks, start)) is not None
        ]
        return min(found) if found else None

    def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> PaperOrder | None:
        """The next order that this tick changes, as it is afterwards; None where it changes no other."""
        orders = self._followed.get(instrument, {}).values()
        is_asked = any(order.waits and order.settings.is_worst_first for order in orders)
        quote = TickQuote(
            at_ns=int(ticks.at_ns[index]),
            price_paise=int(ticks.price_paise[index]),
            bid_paise=int(ticks.bid_paise[index]),
            ask_paise=int(ticks.ask_paise[index]),
            volume_cumulative=int(ticks.volumes(index, index + 1)[0]),
            last_quantity=int(ticks.quantities(index, index + 1)[0]),
            rest_paise=rest_of_minute(ticks, index) if is_asked else None,
        )
        return self._first_changed(instrument, lambda order: match(order, quote))

    def advance(self, now_ns: int) -> PaperOrder | None:
        """Time has passed without a tick: the next order of which something that was on its way takes effect."""
        due_ns = self.next_effect_ns
        if due_ns is None or due_ns > now_ns:
            return None
        for instrument in sorted(self._followed):
            changed = self._first_changed(instrument, lambda order: catch_up(order, now_ns))
            if changed is not None:
                return changed
        return None

    def _first_changed(self, instrument: int, move: Callable[[PaperOrder], PaperOrder]) -> PaperOrder | None:
        followed = self._followed.get(instrument)
        for broker_order_id, before in sorted(followed.items()) if followed else ():
            after = move(before)
            if not _same_book_line(before, after):
                return after
            self._followed[instrument][broker_order_id] = after
        return None

    @property
    def next_effect_ns(self) -> int | None:
        """When time alone changes an order next; None where it changes none."""
        if not self._is_effect_known:
            effects = [
                due
                for followed in self._followed.values()
                for order in followed.values()
                for due in due_instants(order)
                if due is not None
            ]
            self._effect_ns, self._is_effect_known = min(effects, default=None), True
        return self._effect_ns


def altered(
    found: PaperOrder | None, account: str, broker_order_id: str, move: Callable[[PaperOrder], PaperOrder | str]
) -> tuple[Outcome, PaperOrder | None]:
    """What a cancellation or modification of an order comes to: the answer, and the order to be written. `move` gives
    the order afterwards, or why the exchange does not take the request."""
    if found is None or found.request.account != account:
        return Outcome(Result.REFUSED, reason=f"no order {broker_order_id} in this account"), None
    if found.status.final:
        return Outcome(Result.REFUSED, reason=f"the order is {found.status} already"), None
    after = move(found)
    if isinstance(after, str):
        return Outcome(Result.REFUSED, reason=after), None
    return Outcome(Result.ACCEPTED, broker_order_id=broker_order_id), after


def asked_change(order: PaperOrder, change: OrderModification) -> PaperOrder | str:
    """The order with the modification on its way, or why the exchange would not take it: the same rules as of an order
    that is new."""
    if order.request.order_type is OrderType.GTT and order.triggered:
        return "a leg of the trigger was reached already"
    asked = replace(
        order.request, quantity=change.quantity, price_paise=change.price_paise, trigger_paise=change.trigger_paise,
        at_ns=change.at_ns, order_type=change.order_type or order.request.order_type,
    )  # fmt: skip
    return refusal(asked) or request_change(order, change)


def _same_book_line(before: PaperOrder, after: PaperOrder) -> bool:
    """Nothing that the book or a caller would notice has changed."""
    return (after.status, len(after.fills), after.change, after.met) == (
        before.status, len(before.fills), before.change, before.met
    )  # fmt: skip
