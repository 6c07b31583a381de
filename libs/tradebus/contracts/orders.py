"""What execution reports (`orders.v1`)."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from tradebus.contracts.base import Message, Model
from tradebus.contracts.signals import Side


class Tariff(StrEnum):
    """Whose charges a trade pays: a broker's, with the taxes and fees that are the same at all of them, or nothing."""

    NONE = "none"
    ZERODHA = "zerodha"
    DHAN = "dhan"
    UPSTOX = "upstox"


class FillModel(StrEnum):
    """How paper and history fill. TOUCH: whatever the price touches. CONSERVATIVE: what was certain to be had."""

    TOUCH = "touch"
    CONSERVATIVE = "conservative"


class PriceOrigin(StrEnum):
    """What ticks are made of."""

    BARS = "bars"  # the order of prices within a minute is not known
    TICKS = "ticks"


class OrderRole(StrEnum):
    ENTRY = "ENTRY"
    STOP = "STOP"
    EXIT = "EXIT"


class OrderType(StrEnum):
    MARKET = "MARKET"
    LIMIT = "LIMIT"
    SL = "SL"
    SL_M = "SL-M"
    GTT = (
        "GTT"  # a stop that waits at the broker, not at the exchange, beside a target: the first reached ends the other
    )


class Transaction(StrEnum):
    BUY = "BUY"
    SELL = "SELL"


class _OrderEvent(Message):
    order_id: str
    broker_order_id: str | None = None
    tag: str
    role: OrderRole
    strategy: str
    symbol: str
    instrument: int
    transaction: Transaction
    order_type: OrderType
    quantity: int = Field(gt=0)


class BrokerRequest(Model):
    """What a dry run's order would have been on the wire: method, address and body as the broker's SDK wrote them,
    secrets and headers left out. Where there would have been none, `problem` says why, and the rest is empty."""

    broker: str
    method: str = ""
    url: str = ""
    body: str = ""
    problem: str = ""


class OrderPlaced(_OrderEvent):
    """The broker accepted an order. For a stop this is STOP_PLACED. `would_send`: in a dry run."""

    TYPE: ClassVar[str] = "ORDER_PLACED"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "would_send")
    price_paise: int | None = None
    trigger_paise: int | None = None
    would_send: BrokerRequest | None = None


class OrderPartiallyFilled(_OrderEvent):
    """One fill of an order that is not complete yet."""

    TYPE: ClassVar[str] = "ORDER_PARTIALLY_FILLED"
    fill_id: str
    fill_quantity: int
    fill_price_paise: int
    filled_quantity: int


class OrderFilled(_OrderEvent):
    """The fill that completed an order."""

    TYPE: ClassVar[str] = "ORDER_FILLED"
    fill_id: str
    fill_quantity: int
    fill_price_paise: int
    filled_quantity: int
    average_price_paise: int


class OrderRejected(_OrderEvent):
    """The broker's refusal (ours is ENTRY_BLOCKED)."""

    TYPE: ClassVar[str] = "ORDER_REJECTED"
    reason: str


class OrderCancelled(_OrderEvent):
    """An order ended before it was complete; it may carry fills."""

    TYPE: ClassVar[str] = "ORDER_CANCELLED"
    filled_quantity: int
    reason: str


class OrderTimeout(_OrderEvent):
    """An entry waited too long and is being cancelled."""

    TYPE: ClassVar[str] = "ORDER_TIMEOUT"
    filled_quantity: int
    timeout_seconds: int


class OrderSlippage(_OrderEvent):
    """A fill was worse than the limit allows; the position is being closed."""

    TYPE: ClassVar[str] = "ORDER_SLIPPAGE"
    expected_price_paise: int
    fill_price_paise: int
    slippage_pct: float
    max_slippage_pct: float


class OrderUnknown(_OrderEvent):
    """A request ended without an answer; the order may be live. Resolved by its tag, never by sending again."""

    TYPE: ClassVar[str] = "ORDER_UNKNOWN"
    reason: str


class StopPlaced(_OrderEvent):
    """The protective stop rests at the broker. `would_send`: in a dry run."""

    TYPE: ClassVar[str] = "STOP_PLACED"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "would_send")
    trigger_paise: int
    would_send: BrokerRequest | None = None


class StopMoved(_OrderEvent):
    """The stop follows the position: a new trigger or quantity."""

    TYPE: ClassVar[str] = "STOP_MOVED"
    trigger_paise: int
    previous_trigger_paise: int
    previous_quantity: int


class PositionOpened(Message):
    """The first fill of an entry; later fills of it are order events."""

    TYPE: ClassVar[str] = "POSITION_OPENED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    average_price_paise: int
    stop_paise: int
    target_paise: int | None = None


class PositionClosed(Message):
    """The trade's last word. P&L in paise; R, MAE and MFE in multiples of the risk taken at entry."""

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


class SquareOffForced(Message):
    """The day's last moment to be flat is over, and nobody has asked for the exit (risk is away): execution closes the
    position by itself. Somebody must look after risk."""

    TYPE: ClassVar[str] = "SQUARE_OFF_FORCED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    hard_end_ns: int


class PositionUnprotected(Message):
    """So many seconds nothing at the broker has protected what is held there, and no exit has closed it: somebody must
    look at the account. Said once each time it comes to that."""

    TYPE: ClassVar[str] = "POSITION_UNPROTECTED"
    strategy: str
    symbol: str
    instrument: int
    side: Side
    quantity: int
    seconds: int


class Difference(Model):
    """One thing on which the book and the broker disagreed."""

    what: str
    ours: str
    brokers: str
    action: str


class Reconciled(Message):
    """The book and the broker agree, or were brought to agree."""

    TYPE: ClassVar[str] = "RECONCILED"
    orders_checked: int
    differences: tuple[Difference, ...] = ()


class ReconcileMismatch(Message):
    """The book and the broker disagree in a way that a person must look at."""

    TYPE: ClassVar[str] = "RECONCILE_MISMATCH"
    differences: tuple[Difference, ...]
