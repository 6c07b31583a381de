"""What one decision on a trade leads to: facts to publish and requests to send, in order.

Facts and state commit together; only then are the requests sent, and each answer is the next decision.
"""

from dataclasses import dataclass, field

from tradebus.trading.charges import Charges
from tradebus.trading.facts import Fact
from tradebus.trading.orders import BrokerFill


@dataclass(frozen=True, slots=True)
class Place:
    order_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    order_id: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Modify:
    """Bring the broker's quantity and trigger in line with ours. `trails`: a stop that covers what it is to cover moves
    nearer to the market, and nothing is lost where it does not."""

    order_id: str
    at_ns: int
    previous_quantity: int
    previous_trigger_paise: int
    trails: bool = False


Request = Place | Cancel | Modify


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of an order's history."""

    order_id: str
    from_state: str | None
    to_state: str
    event: str
    ts_event_ns: int


@dataclass(frozen=True, slots=True)
class NewFill:
    order_id: str
    fill: BrokerFill
    charges_paise: int
    charges: Charges = field(default_factory=Charges)  # the same by kind, where it was booked in this life


@dataclass(frozen=True, slots=True)
class Notice:
    """Something at the broker that was not our doing, for a person: what it is, both views, and what is done or to be
    done about it."""

    what: str
    ours: str
    brokers: str
    action: str


@dataclass(slots=True)
class TradeStep:
    """Collects the consequences of one decision. `cause_id` is the event that led to it."""

    cause_id: str | None = None
    facts: list[Fact] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    history: list[Moved] = field(default_factory=list)
    fills: list[NewFill] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
