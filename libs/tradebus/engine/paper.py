"""The paper exchange of the engine: the paper broker's own matching, its book in memory.

One change at a time is told, so that what it leads to is done before the next order is looked at, as in the service.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping

from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.paper import (
    PaperOrder,
    Quote,
    accept,
    catch_up,
    match,
    refusal,
    report,
    request_cancel,
    request_change,
)
from tradebus.trading.matching.touch import next_touch
from tradebus.trading.orders import BrokerOrder, Change, InstrumentTicks, OrderRequest, Outcome, Result

Move = Callable[[PaperOrder], PaperOrder]


class PaperExchange:
    """`settings` by account (latency, slippage, partial fills)."""

    def __init__(self, settings: Mapping[str, PaperSettings]) -> None:
        self._settings = settings
        self._live: dict[str, PaperOrder] = {}  # by broker order id
        self._followed: dict[int, dict[str, PaperOrder]] = defaultdict(dict)  # the same, by instrument
        self._next_effect_ns: int | None = None  # when the next cancellation or modification takes effect

    def place(self, request: OrderRequest) -> Outcome:
        problem = refusal(request)
        if problem is not None:
            return Outcome(Result.REFUSED, reason=problem)
        order = accept(request, self._settings[request.account])
        self._keep(order)
        return Outcome(Result.ACCEPTED, broker_order_id=order.broker_order_id)

    def modify(self, broker_order_id: str, change: Change) -> Outcome:
        if change.trigger_paise is not None and change.trigger_paise <= 0:
            return Outcome(Result.REFUSED, reason="a trigger must be positive")
        return self._alter(broker_order_id, lambda order: request_change(order, change))

    def cancel(self, broker_order_id: str, *, at_ns: int) -> Outcome:
        return self._alter(broker_order_id, lambda order: request_cancel(order, at_ns=at_ns))

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        """The first tick, at or after `start`, that can change an order of the instrument."""
        touches = [next_touch(order, ticks, start) for order in self._followed[instrument].values()]
        return min((touch for touch in touches if touch is not None), default=None)

    def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> BrokerOrder | None:
        """Applies one tick; the first order that it changes, None where it changes none (any more)."""
        quote = Quote(
            at_ns=int(ticks.at_ns[index]),
            price_paise=int(ticks.price_paise[index]),
            bid_paise=int(ticks.bid_paise[index]),
            ask_paise=int(ticks.ask_paise[index]),
        )
        return self._step(instrument, lambda order: match(order, quote))

    def advance(self, now_ns: int) -> BrokerOrder | None:
        """Time has passed: the first order of which something that was on its way takes effect."""
        if self._next_effect_ns is None or self._next_effect_ns > now_ns:
            return None
        for instrument in sorted(self._followed):
            changed = self._step(instrument, lambda order: catch_up(order, now_ns))
            if changed is not None:
                return changed
        return None

    def _step(self, instrument: int, move: Move) -> BrokerOrder | None:
        for _, before in sorted(self._followed[instrument].items()):
            after = move(before)
            unchanged = (
                after.status == before.status
                and len(after.fills) == len(before.fills)
                and after.change == before.change
            )
            self._keep(after)
            if not unchanged:
                return report(after)
        return None

    def _alter(self, broker_order_id: str, move: Move) -> Outcome:
        order = self._live.get(broker_order_id)
        if order is None:
            return Outcome(Result.REFUSED, reason="the order has ended already")
        self._keep(move(order))
        return Outcome(Result.ACCEPTED, broker_order_id=broker_order_id)

    def _keep(self, order: PaperOrder) -> None:
        followed = self._followed[order.request.instrument]
        if order.status.final:
            followed.pop(order.broker_order_id, None)
            self._live.pop(order.broker_order_id, None)
        else:
            followed[order.broker_order_id] = self._live[order.broker_order_id] = order
        self._next_effect_ns = min(
            (
                due
                for each in self._live.values()
                for due in (each.cancel_effective_ns, each.change_effective_ns)
                if due is not None
            ),
            default=None,
        )
