"""Orders as a broker sees them: requests, outcomes, lines of its book. Every broker adapter, the paper broker and the
execution core speak in these.

Three outcomes of a request, never two: accepted, refused, unknown. A timeout, a dropped connection or a server error is
unknown: the order may be live, and only the broker's order book, searched by tag, can tell. Fills decide by quantity,
never by the word of a status.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from tradebus.calendar import Contract, ProposedOrder
from tradebus.contracts.orders import BrokerRequest, OrderRole, OrderType, Transaction


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
    """What came of a request. `broker_order_id` with ACCEPTED, `reason` with the other two; `would_send` with a dry
    run's order."""

    result: Result
    broker_order_id: str | None = None
    reason: str = ""
    would_send: BrokerRequest | None = None


class Product(StrEnum):
    """How long a position may live: until the close, carried (derivatives), or delivered (shares)."""

    INTRADAY = "INTRADAY"
    CARRY = "CARRY"
    DELIVERY = "DELIVERY"


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """A new order. `account` names whose; `tag` finds it again. Prices in paise, `at_ns` is when it was decided.

    `contract` is what the order rules are asked about, `role` whether the order opens a position or ends one. Whoever
    sends a request says both; a broker's adapter reads neither."""

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
    role: OrderRole = OrderRole.EXIT
    contract: Contract | None = None
    group_id: str | None = None  # of the entry of a leg
    target_paise: int | None = None  # of a GTT: the other leg's trigger, and the limit of what that places
    market_paise: int | None = None  # of a GTT: the last price, which lies between the two

    def proposed(self) -> ProposedOrder:
        """As the order rules read it: what the stop of a GTT places has its limit, as a stop's."""
        return ProposedOrder(
            role=self.role,
            transaction=self.transaction,
            order_type=OrderType.SL if self.order_type is OrderType.GTT else self.order_type,
            quantity=self.quantity,
            price_paise=self.price_paise,
            trigger_paise=self.trigger_paise,
            has_protection=bool(self.market_protection_pct),
        )


@dataclass(frozen=True, slots=True)
class OrderModification:
    """A modification: the new total quantity, price and trigger.

    `asked` is the order as it would be, for the order rules; whoever sends it on says it, a broker's adapter does not
    read it. `order_type` is the type it becomes, None where it keeps its own. `market_protection_pct` is how far from
    the market it may trade where it is at the market then, or when it is triggered; None leaves that to the broker."""

    quantity: int
    price_paise: int | None
    trigger_paise: int | None
    at_ns: int
    asked: OrderRequest | None = field(default=None, compare=False)
    order_type: OrderType | None = None
    market_protection_pct: float | None = None


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


@dataclass(frozen=True, slots=True)
class InstrumentTicks:
    """The ticks of one instrument out of a batch, as columns in arrival order. Arrays of equal length, paise and ns.

    `at_ns` is event time, strictly ascending: ticks that an exchange stamped alike keep the order they came in.
    `volume_cumulative` and `last_quantity` are the exchange's, in units; None where nobody asks for them.
    """

    at_ns: npt.NDArray[np.int64]
    price_paise: npt.NDArray[np.int64]
    bid_paise: npt.NDArray[np.int64]
    ask_paise: npt.NDArray[np.int64]
    volume_cumulative: npt.NDArray[np.int64] | None = None
    last_quantity: npt.NDArray[np.int32] | None = None

    def __len__(self) -> int:
        return len(self.at_ns)

    def volumes(self, begin: int, end: int) -> npt.NDArray[np.int64]:
        """The day's volume at the ticks [begin, end), 0 where it is not known."""
        if self.volume_cumulative is None:
            return np.zeros(end - begin, np.int64)
        return self.volume_cumulative[begin:end]

    def quantities(self, begin: int, end: int) -> npt.NDArray[np.int32]:
        """The last trade's units at the ticks [begin, end), 0 where there was none or it is not known."""
        return np.zeros(end - begin, np.int32) if self.last_quantity is None else self.last_quantity[begin:end]
