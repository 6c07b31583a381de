"""The drill's broker takes and shows orders as the three adapters do: what an answer means, when a book that lacks a
tag says that it is absent, what a row with fills that do not add up is, are theirs (`tradebus.brokers.common.orders`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from services.cli.drill.exchange.desk_calls import DeskCalls
from services.sandbox.ports import BrokerName, ChangedOrder, NewOrder, SandboxOrder, SandboxStatus
from tradebus.brokers.common.orders.book import BookLine, FillsByOrder, decided, order_in
from tradebus.brokers.common.orders.lookup import BookReader
from tradebus.brokers.common.orders.outcomes import outcome_of
from tradebus.brokers.common.orders.settling import SETTLE_SECONDS, Settling
from tradebus.brokers.common.replies.rows import Row
from tradebus.brokers.registry import Known
from tradebus.contracts.orders import OrderType
from tradebus.kernel.clock import Clock
from tradebus.trading.orders import (
    UNLISTED_INSTRUMENT,
    BrokerFill,
    BrokerOrder,
    BrokerStatus,
    OrderModification,
    OrderRequest,
    Outcome,
    Result,
)

_STATUS = {
    SandboxStatus.VALIDATION_PENDING: BrokerStatus.PENDING, SandboxStatus.OPEN: BrokerStatus.OPEN,
    SandboxStatus.TRIGGER_PENDING: BrokerStatus.TRIGGER_PENDING, SandboxStatus.AFTER_MARKET: BrokerStatus.OPEN,
    SandboxStatus.COMPLETE: BrokerStatus.FILLED, SandboxStatus.CANCELLED: BrokerStatus.CANCELLED,
    SandboxStatus.REJECTED: BrokerStatus.REJECTED,
}  # fmt: skip


_TRIGGERED = (OrderType.SL, OrderType.SL_M)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeLine(BookLine):
    """A row of the exchange's own book."""

    order: SandboxOrder


class DeskOrders(BookReader[ExchangeLine]):
    """See `tradebus.brokers.ports.OrderGateway`. One per life of a process, as a login's client is."""

    def __init__(self, calls: DeskCalls, known: Known, *, clock: Clock) -> None:
        super().__init__(calls.name, calls, Settling(SETTLE_SECONDS, timers=calls.timers))
        self._calls, self._known, self._clock = calls, known, clock

    async def place(self, request: OrderRequest) -> Outcome:
        try:
            self._known.listing_of(request.instrument)
        except LookupError:
            return Outcome(Result.REFUSED, reason=f"not sent: {request.symbol} is not listed")
        wanted, account, exchange = self.wanted(request), self._calls.account, self._calls.exchange
        what = f"place {request.transaction} {request.quantity} {request.symbol} ({request.role}, {request.tag})"
        placing = self._request(what, lambda: exchange.place(account, wanted))
        return await self._settling.placed(request.tag, placing)

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome:
        del account  # a login is one account
        changed = ChangedOrder(
            quantity=change.quantity, price_paise=change.price_paise, trigger_paise=change.trigger_paise,
            order_type=change.order_type,
        )  # fmt: skip
        ours, exchange = self._calls.account, self._calls.exchange
        what = f"change order {broker_order_id} to {change.quantity}"
        return await self._request(what, lambda: exchange.modify(ours, broker_order_id, changed), of=broker_order_id)

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome:
        del account, at_ns
        ours, exchange = self._calls.account, self._calls.exchange
        what = f"cancel order {broker_order_id}"
        return await self._request(what, lambda: exchange.cancel(ours, broker_order_id), of=broker_order_id)

    def wanted(self, request: OrderRequest) -> NewOrder:
        """The request in the exchange's words."""
        return NewOrder(
            instrument=request.instrument, transaction=request.transaction, order_type=request.order_type,
            product=request.product, quantity=request.quantity, price_paise=request.price_paise or 0,
            trigger_paise=request.trigger_paise or 0, tag=request.tag,
            market_protection_pct=request.market_protection_pct or 0.0, source=BrokerName(self._calls.name),
        )  # fmt: skip

    async def ask_orders(self) -> object:
        account, exchange = self._calls.account, self._calls.exchange
        rows = await self._calls.read("orders", lambda: list(exchange.orders(account)))
        return [{"order": order} for order in rows]

    async def ask_trades(self) -> object:
        account, exchange = self._calls.account, self._calls.exchange
        return await self._calls.read("trades", lambda: [{"order": order} for order in exchange.orders(account)])

    async def ask_trades_of(self, broker_order_id: str, *, patient: bool) -> object:
        account, exchange = self._calls.account, self._calls.exchange
        ask = self._calls.read if patient else self._calls.once
        return await ask(
            f"trades of order {broker_order_id}", lambda: [{"order": exchange.order(account, broker_order_id)}]
        )

    def line_in(self, row: Row) -> ExchangeLine:
        return line_of_order(row["order"])

    def fills_in(self, rows: Iterable[Row]) -> FillsByOrder:
        return {row["order"].order_id: fills_of(row["order"]) for row in rows}

    def report(self, account: str, line: ExchangeLine, fills: Sequence[BrokerFill]) -> BrokerOrder:
        return order_in(
            line, fills, account=account, status_of=status_of, now_ns=self._clock.now_ns(),
            instrument_of=lambda segment, token: self.instrument(line.order),
        )  # fmt: skip

    def instrument(self, order: SandboxOrder) -> int:
        """Its number in the book of record, told by the broker's names as any adapter does."""
        one = self._calls.exchange.instruments[order.request.instrument]
        found = self._known.instrument_of(one.key.segment.value, str(one.exchange_token))
        return UNLISTED_INSTRUMENT if found is None else found

    async def _request(self, what: str, act: Callable[[], SandboxOrder], *, of: str | None = None) -> Outcome:
        return await outcome_of(
            what, self._calls.once(what, act), lambda order: order.order_id, redactor=self._calls.redactor, of=of
        )


def status_of(word: str, *, quantity: int, filled_quantity: int) -> BrokerStatus:
    """The exchange's word as the common status."""
    return decided(_STATUS[SandboxStatus(word)], quantity=quantity, filled_quantity=filled_quantity)


def fills_of(order: SandboxOrder) -> tuple[BrokerFill, ...]:
    """Its trades in the common vocabulary."""
    return tuple(BrokerFill(one.trade_id, one.quantity, one.price_paise, one.at_ns) for one in order.trades)


def line_of_order(order: SandboxOrder) -> ExchangeLine:
    """A row of the book."""
    asked = order.request
    return ExchangeLine(
        order_id=order.order_id, tag=asked.tag, tags=frozenset({asked.tag} - {""}), transaction=asked.transaction,
        word=order.status.value, quantity=asked.quantity, filled_quantity=order.filled_quantity,
        trigger_paise=(asked.trigger_paise or None) if asked.order_type in _TRIGGERED else None,
        segment="", token="", reason=order.reason, as_of_ns=order.updated_ns, order=order,
    )  # fmt: skip
