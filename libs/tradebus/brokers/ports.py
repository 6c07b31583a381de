"""What execution needs of a broker. Live adapters and the paper broker stand behind the same port; what they say is in
`tradebus.trading.orders`."""

from collections.abc import Sequence
from typing import Protocol

from tradebus.trading.orders import BrokerOrder, InstrumentTicks, Lookup, OrderModification, OrderRequest, Outcome


class OrderGateway(Protocol):
    """Places and changes orders. Every method returns an outcome; none raises for what a broker or network may do."""

    async def place(self, request: OrderRequest) -> Outcome: ...

    async def modify(self, account: str, broker_order_id: str, change: OrderModification) -> Outcome: ...

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome: ...

    async def find_by_tag(self, account: str, tag: str) -> Lookup: ...

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        """Every order of the day; None where the book could not be read, which says nothing about any order."""


class MarketFollower(Protocol):
    """What a gateway offers that fills from market data instead of at an exchange (the paper broker).

    A live adapter reports through its order stream instead; execution handles the reports of both alike.
    """

    def next_touch(self, instrument: int, ticks: InstrumentTicks, start: int) -> int | None:
        """The index, at or after `start`, of the first tick that can change an order of this instrument."""

    async def on_tick(self, instrument: int, ticks: InstrumentTicks, index: int) -> Sequence[BrokerOrder]:
        """Applies one tick and returns what changed; called again it goes on with the orders not looked at yet."""

    async def advance(self, now_ns: int) -> Sequence[BrokerOrder]:
        """Time has passed without a tick: what was on its way takes effect. Returns what changed; nothing changed
        means that all is done."""
