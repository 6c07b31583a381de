"""The paper broker without a book of record: requests and ticks in, outcomes and reports out. Synchronous, in memory.

It answers as `tradebus.brokers.paper` does on a durable book (tested on both).
"""

from tradebus.contracts.sessions import PaperSettings
from tradebus.trading.matching.market import PaperMarket, altered, asked_change
from tradebus.trading.matching.paper import PaperOrder, accept, refusal, report, request_cancel
from tradebus.trading.orders import BrokerOrder, InstrumentTicks, OrderModification, OrderRequest, Outcome, Result


class PaperExchange:
    """One book for all accounts, as the paper broker has."""

    def __init__(self) -> None:
        self._market = PaperMarket()
        self._by_id: dict[str, PaperOrder] = {}
        self._id_of_tag: dict[str, str] = {}

    def place(self, request: OrderRequest, settings: PaperSettings) -> Outcome:
        """Accepts into the book, once per tag; refuses what an exchange would."""
        problem = refusal(request)
        if problem is not None:
            return Outcome(Result.REFUSED, reason=problem)
        known = self._id_of_tag.get(request.tag)
        if known is None:
            order = accept(request, settings)
            self._id_of_tag[request.tag] = order.broker_order_id
            self._write(order)
            return Outcome(Result.ACCEPTED, broker_order_id=order.broker_order_id)
        if self._by_id[known].request.account != request.account:
            return Outcome(Result.REFUSED, reason=f"tag {request.tag} belongs to another account")
        return Outcome(Result.ACCEPTED, broker_order_id=known)

    def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        """Puts a modification on its way. A final order refuses it, and what an exchange would."""
        outcome, order = altered(
            self._by_id.get(broker_order_id), account, broker_order_id, lambda found: asked_change(found, change)
        )
        return self._answer(outcome, order)

    def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        """Puts a cancellation on its way. A final order refuses it; asking twice is harmless."""
        outcome, order = altered(
            self._by_id.get(broker_order_id), account, broker_order_id, lambda found: request_cancel(found, at_ns=at_ns)
        )
        return self._answer(outcome, order)

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        """The index, at or after `start`, of the first tick that can change an order of this instrument."""
        return self._market.next_touch(instrument, ticks, start)

    def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> BrokerOrder | None:
        """Applies one tick to the next order that it changes, and reports it; None where it changes no other."""
        return self._changed(self._market.on_tick(instrument, ticks, index))

    def advance(self, now_ns: int) -> BrokerOrder | None:
        """Time has passed without a tick: the next order of which something took effect; None where there is none."""
        return self._changed(self._market.advance(now_ns))

    @property
    def next_effect_ns(self) -> int | None:
        """When time alone changes an order next."""
        return self._market.next_effect_ns

    def order_book(self, account: str) -> list[BrokerOrder]:
        """Every order of the account, in the order they entered the book."""
        return [report(order) for _, order in sorted(self._by_id.items()) if order.request.account == account]

    def forget_ended(self) -> None:
        """Lets go of orders that are final: a run over years need not remember every one."""
        self._by_id = {name: order for name, order in self._by_id.items() if not order.status.final}
        self._id_of_tag = {order.request.tag: name for name, order in self._by_id.items()}

    def _answer(self, outcome: Outcome, order: PaperOrder | None) -> Outcome:
        if order is not None:
            self._write(order)
        return outcome

    def _changed(self, order: PaperOrder | None) -> BrokerOrder | None:
        if order is None:
            return None
        self._write(order)
        return report(order)

    def _write(self, order: PaperOrder) -> None:
        self._by_id[order.broker_order_id] = order
        self._market.follow(order)
