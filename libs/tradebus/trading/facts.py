"""What the cores say to each other: slotted values, one for each message of signals, intents and orders.

A fact is what happened; the message of the same name in `tradebus.contracts` is its wire form, which adds who published
it and when. Services render facts as messages and read messages as facts (`tradebus.runtime.rendering`); the engine
passes them on as they are. Ids derive from what caused a fact, so that the same run makes the same ids in both.

Invariant (tested): a fact has the fields of its message, less `source` and `ts_recorded_ns`.
"""

from dataclasses import dataclass
from typing import ClassVar

from tradebus.contracts.orders import BrokerRequest, OrderRole, OrderType, Transaction
from tradebus.contracts.signals import Group, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What every fact carries. Instants in nanoseconds since the epoch."""

    TYPE: ClassVar[str]

    event_id: str
    ts_event_ns: int
    trace_id: str
    session_id: str
    user_id: str
    pos_id: str | None = None
    causation_id: str | None = None
    database_id: int | None = None
    group_id: str | None = None


# What strategies say.


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFact(Fact):
    strategy: str
    symbol: str
    instrument: int
    side: Side
    price_paise: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLong(SignalFact):
    TYPE: ClassVar[str] = "ARM_LONG"
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmShort(SignalFact):
    TYPE: ClassVar[str] = "ARM_SHORT"
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySignal(SignalFact):
    """Asks for the position `pos_id`."""

    TYPE: ClassVar[str] = "ENTRY_SIGNAL"
    stop_paise: int
    target_paise: int | None
    confidence: float
    group: Group | None = None  # of a leg
    lots: int | None = None  # that are asked for, in place of what sizing says


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitSignal(SignalFact):
    """Asks that `pos_id` be closed. `side` is the position's."""

    TYPE: ClassVar[str] = "EXIT_SIGNAL"
    group: Group | None = None


Signal = ArmLong | ArmShort | EntrySignal | ExitSignal


# What risk decides.


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryVerdictFact(Fact):
    signal_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryApproved(EntryVerdictFact):
    TYPE: ClassVar[str] = "ENTRY_APPROVED"
    intent_id: str
    quantity: int
    lot_size: int
    tick_size_paise: int
    price_paise: int
    stop_paise: int
    target_paise: int | None
    valid_until_ns: int
    max_slippage_pct: float
    order_timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReduced(EntryApproved):
    TYPE: ClassVar[str] = "ENTRY_REDUCED"
    quantity_requested: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAwaitsApproval(EntryVerdictFact):
    TYPE: ClassVar[str] = "ENTRY_AWAITS_APPROVAL"
    approval_id: str
    quantity: int
    price_paise: int
    stop_paise: int
    target_paise: int | None
    expires_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryBlocked(EntryVerdictFact):
    TYPE: ClassVar[str] = "ENTRY_BLOCKED"
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitApproved(Fact):
    TYPE: ClassVar[str] = "EXIT_APPROVED"
    intent_id: str
    strategy: str
    symbol: str
    instrument: int
    side: Side
    rule: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHalted(Fact):
    TYPE: ClassVar[str] = "SESSION_HALTED"
    rule: str
    detail: str


Intent = EntryApproved | EntryReduced | ExitApproved
RiskFact = Intent | EntryAwaitsApproval | EntryBlocked | SessionHalted


# What execution reports.


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFact(Fact):
    order_id: str
    broker_order_id: str | None
    tag: str
    role: OrderRole
    strategy: str
    symbol: str
    instrument: int
    transaction: Transaction
    order_type: OrderType
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(OrderFact):
    TYPE: ClassVar[str] = "ORDER_PLACED"
    price_paise: int | None
    trigger_paise: int | None
    would_send: BrokerRequest | None = None  # in a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPartiallyFilled(OrderFact):
    TYPE: ClassVar[str] = "ORDER_PARTIALLY_FILLED"
    fill_id: str
    fill_quantity: int
    fill_price_paise: int
    filled_quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(OrderFact):
    TYPE: ClassVar[str] = "ORDER_FILLED"
    fill_id: str
    fill_quantity: int
    fill_price_paise: int
    filled_quantity: int
    average_price_paise: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(OrderFact):
    TYPE: ClassVar[str] = "ORDER_REJECTED"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCancelled(OrderFact):
    TYPE: ClassVar[str] = "ORDER_CANCELLED"
    filled_quantity: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTimeout(OrderFact):
    TYPE: ClassVar[str] = "ORDER_TIMEOUT"
    filled_quantity: int
    timeout_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSlippage(OrderFact):
    TYPE: ClassVar[str] = "ORDER_SLIPPAGE"
    expected_price_paise: int
    fill_price_paise: int
    slippage_pct: float
    max_slippage_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnknown(OrderFact):
    TYPE: ClassVar[str] = "ORDER_UNKNOWN"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlaced(OrderFact):
    TYPE: ClassVar[str] = "STOP_PLACED"
    trigger_paise: int
    would_send: BrokerRequest | None = None  # in a dry run


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMoved(OrderFact):
    TYPE: ClassVar[str] = "STOP_MOVED"
    trigger_paise: int
    previous_trigger_paise: int
    previous_quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionOpened(Fact):
    TYPE: ClassVar[str] = "POSITION_OPENED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    average_price_paise: int
    stop_paise: int
    target_paise: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionClosed(Fact):
    TYPE: ClassVar[str] = "POSITION_CLOSED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    entry_price_paise: int
    exit_price_paise: int
    gross_pnl_paise: int
    charges_paise: int
    net_pnl_paise: int
    r_multiple: float | None
    mae_r: float | None
    mfe_r: float | None
    reason: str
    opened_ts_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareOffForced(Fact):
    """Nobody has asked for the exit that the day's last moment demands: execution does it by itself."""

    TYPE: ClassVar[str] = "SQUARE_OFF_FORCED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    hard_end_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUnprotected(Fact):
    """So many seconds nothing at the broker has protected what is held there, and no exit has closed it."""

    TYPE: ClassVar[str] = "POSITION_UNPROTECTED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    seconds: int


FACTS: tuple[type[Fact], ...] = (
    ArmLong, ArmShort, EntrySignal, ExitSignal,
    EntryApproved, EntryReduced, EntryAwaitsApproval, EntryBlocked, ExitApproved, SessionHalted,
    OrderPlaced, OrderPartiallyFilled, OrderFilled, OrderRejected, OrderCancelled, OrderTimeout, OrderSlippage,
    OrderUnknown, StopPlaced, StopMoved, PositionOpened, PositionClosed, SquareOffForced, PositionUnprotected,
)  # fmt: skip
