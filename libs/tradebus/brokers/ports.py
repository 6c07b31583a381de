"""What execution needs of a broker. Live adapters and the paper broker stand behind the same port.

Three outcomes of a request, never two: accepted, refused, unknown. A timeout, a dropped connection or a server error is
unknown: the order may be live, and only the broker's order book, searched by tag, can tell. Fills decide by quantity,
never by the word of a status.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tradebus.contracts.orders import OrderType, Transaction


class BrokerStatus(StrEnum):
    """The common vocabulary (one row of the status map per broker word). Unknown words map to UNKNOWN."""

    PENDING = "PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    CANCEL_PENDING = "CANCEL_PENDING"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"

    @property
    def final(self) -> bool:
        """Nothing more will happen to the order."""
        return self in (BrokerStatus.FILLED, BrokerStatus.CANCELLED, BrokerStatus.REJECTED)


class Result(StrEnum):
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request. `broker_order_id` with ACCEPTED, `reason` with the other two."""

    result: Result
    broker_order_id: str | None = None
    reason: str = ""


class Product(StrEnum):
    """How long a position may live: until the close, carried (derivatives), or delivered (shares)."""

    INTRADAY = "INTRADAY"
    CARRY = "CARRY"
    DELIVERY = "DELIVERY"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A new order. `account` names whose; `tag` finds it again. Prices in paise, `at_ns` is when it was decided."""

    account: str
    tag: str
    instrument: int
    symbol: str
    transaction: Transaction
    order_type: OrderType
    quantity: int
    lot_size: int
    tick_size_paise: int
    at_ns: int
    price_paise: int | None = None
    trigger_paise: int | None = None
    market_protection_pct: float | None = None
    product: Product = Product.INTRADAY


@dataclass(frozen=True, slots=True)
class Change:
    """A modification: the new total quantity, price and trigger."""

    quantity: int
    price_paise: int | None
    trigger_paise: int | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class BrokerFill:
    fill_id: str
    quantity: int
    price_paise: int
    ts_event_ns: int


UNLISTED_INSTRUMENT = -1  # in a BrokerOrder: an order, placed elsewhere, in something the session does not know


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker's book has it.

    A final status is only ever told together with its fills: they add up to `filled_quantity`. Where the broker's
    fills are not all known yet the status is UNKNOWN, and whoever needs them looks the order up again.
    """

    broker_order_id: str
    tag: str
    account: str
    instrument: int
    transaction: Transaction
    status: BrokerStatus
    quantity: int
    filled_quantity: int
    trigger_paise: int | None
    fills: tuple[BrokerFill, ...]
    as_of_ns: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer to a search by tag. `definitive` says that absence is certain: the order never reached the book."""

    order: BrokerOrder | None
    definitive: bool


class OrderGateway(Protocol):
    """Places and changes orders. Every method returns an outcome; none raises for what a broker or network may do."""

    async def place(self, request: OrderRequest) -> Outcome: ...

    async def modify(self, account: str, broker_order_id: str, change: Change) -> Outcome: ...

    async def cancel(self, account: str, broker_order_id: str, *, at_ns: int) -> Outcome: ...

    async def find_by_tag(self, account: str, tag: str) -> Lookup: ...

    async def order_book(self, account: str) -> Sequence[BrokerOrder] | None:
        """Every order of the day; None where the book could not be read, which says nothing about any order."""


@dataclass(frozen=True, slots=True)
class InstrumentTicks:
    """The ticks of one instrument out of a batch, as columns in arrival order. Arrays of equal length, paise and ns.

    `at_ns` is event time, strictly ascending: ticks that an exchange stamped alike keep the order they came in.
    """

    at_ns: npt.NDArray[np.int64]
    price_paise: npt.NDArray[np.int64]
    bid_paise: npt.NDArray[np.int64]
    ask_paise: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.at_ns)


class SimulatedMarket(Protocol):
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
