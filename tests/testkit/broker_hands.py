"""What the two ways to a broker's face of the sandbox have in common: the official SDK itself, and our adapter."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from tradebus.brokers.ports import OrderGateway
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.trading.orders import BrokerOrder, BrokerStatus, OrderModification, Outcome, Product

T = TypeVar("T")
Instrument = TypeVar("Instrument")


@dataclass(frozen=True)  # no slots: an alias of a generic cannot make such a class
class Ask(Generic[Instrument]):
    """A new order in the terms of the tests. `instrument` as the broker's hands know it; prices in paise."""

    instrument: Instrument
    transaction: Transaction
    order_type: OrderType
    quantity: int
    product: Product = Product.INTRADAY
    price_paise: int | None = None
    trigger_paise: int | None = None
    tag: str = ""
    protection_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an order. `instrument` is what stands for it with both hands, `value_paise` what its fills are
    worth: Σ quantity × price."""

    order_id: str
    tag: str
    instrument: int | str
    transaction: Transaction
    status: BrokerStatus
    quantity: int
    filled_quantity: int
    value_paise: int
    trigger_paise: int | None
    reason: str = field(compare=False, default="")

    @property
    def average_paise(self) -> float:
        return self.value_paise / self.filled_quantity if self.filled_quantity else 0.0


def facts_of(order: BrokerOrder, instrument: int | str | None = None) -> Facts:
    """Of an order as our port tells it; `instrument` in place of the order's own."""
    return Facts(
        order.broker_order_id, order.tag, order.instrument if instrument is None else instrument, order.transaction,
        order.status, order.quantity, order.filled_quantity,
        sum(fill.quantity * fill.price_paise for fill in order.fills), order.trigger_paise, order.reason,
    )  # fmt: skip


class Hand(Protocol):
    """Places, changes and looks up orders one way. What it takes for a new order is its broker's."""

    def place(self, ask: Any) -> Outcome: ...

    def modify(
        self, order_id: str, *, quantity: int, price_paise: int | None = None, trigger_paise: int | None = None
    ) -> Outcome: ...

    def cancel(self, order_id: str) -> Outcome: ...

    def facts(self, order_id: str) -> Facts | None: ...

    def find(self, tag: str) -> Facts | None: ...


class GatewayHand:
    """Changes and looks up orders through our port; `run` runs its coroutines. The adapter's hand adds the rest."""

    orders: OrderGateway

    def __init__(self, account: str, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self.account_name, self.run = account, run

    def modify(
        self, order_id: str, *, quantity: int, price_paise: int | None = None, trigger_paise: int | None = None
    ) -> Outcome:
        change = OrderModification(quantity, price_paise, trigger_paise, at_ns=0)
        outcome: Outcome = self.run(self.orders.modify(self.account_name, order_id, change))
        return outcome

    def cancel(self, order_id: str) -> Outcome:
        outcome: Outcome = self.run(self.orders.cancel(self.account_name, order_id, at_ns=0))
        return outcome

    def book(self) -> list[Facts]:
        """Every order of the day."""
        book = self.run(self.orders.order_book(self.account_name))
        assert book is not None, "the adapter could not read the book"
        return [self.facts_of(order) for order in book]

    def facts(self, order_id: str) -> Facts | None:
        return next((each for each in self.book() if each.order_id == order_id), None)

    def find(self, tag: str) -> Facts | None:
        order = self.run(self.orders.find_by_tag(self.account_name, tag)).order
        return None if order is None else self.facts_of(order)

    def facts_of(self, order: BrokerOrder) -> Facts:
        """Of an order as our port tells it."""
        return facts_of(order)


class Loop:
    """An event loop for the adapter's coroutines, run from a test's thread."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def close(self) -> None:
        self._runner.close()
