"""Between the exchange and its three faces.

    faces (kite, dhan, upstox: HTTP + WebSocket) ─► Exchange (one state, one clock) ─► updates, quotes ─► faces

The exchange knows instruments by a small integer index, accounts by a name, money in paise, time in nanoseconds of its
own dated market clock. A face translates: its broker's words, ids, errors and frames, and nothing else. All methods are
plain calls on the event loop's thread: they never wait, and what they return is not changed afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from tradebus.contracts.instrument_key import InstrumentKey
from tradebus.contracts.orders import OrderType, Transaction
from tradebus.contracts.records import Records
from tradebus.trading.orders import Product

T = TypeVar("T", covariant=True)


class BrokerName(StrEnum):
    KITE = "kite"
    DHAN = "dhan"
    UPSTOX = "upstox"


@dataclass(frozen=True, slots=True)
class SandboxInstrument:
    """One listed instrument with every broker's own name for it. Prices in paise, quantities in units."""

    index: int
    key: InstrumentKey
    symbol: str  # tradingsymbol at Kite and Upstox
    dhan_symbol: str
    exchange_token: int  # Dhan's security id; Kite's is kite_token // 256 (the same but for an index)
    kite_token: int
    upstox_key: str  # "NSE_FO|50978"
    isin: str
    lot_size: int
    tick_size_paise: int
    freeze_quantity: int
    market_class: str


class Validity(StrEnum):
    DAY = "DAY"
    IOC = "IOC"
    TTL = "TTL"


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a face asks for. `tag` is the client's word for it, "" without; `source` is the face."""

    instrument: int
    transaction: Transaction
    order_type: OrderType
    product: Product
    quantity: int
    price_paise: int = 0
    trigger_paise: int = 0
    disclosed_quantity: int = 0
    validity: Validity = Validity.DAY
    validity_minutes: int = 0
    tag: str = ""
    market_protection_pct: float = (
        0.0  # -1: the exchange's own choice; 0: none, refused for MARKET and SL-M when ruled so
    )
    after_market: bool = False
    variety: str = "regular"
    source: BrokerName = BrokerName.KITE


@dataclass(frozen=True, slots=True)
class ChangedOrder:
    """A modification; None leaves a field as it is. `quantity` is the new total."""

    quantity: int | None = None
    price_paise: int | None = None
    trigger_paise: int | None = None
    order_type: OrderType | None = None
    validity: Validity | None = None
    disclosed_quantity: int | None = None
    market_protection_pct: float | None = None


class SandboxStatus(StrEnum):
    """The exchange's own words; each face maps them to its broker's."""

    VALIDATION_PENDING = "VALIDATION_PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    AFTER_MARKET = "AFTER_MARKET"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class SandboxTrade:
    trade_id: str
    order_id: str
    quantity: int
    price_paise: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class SandboxOrder:
    """One order as of `updated_ns`. `number` goes up with each change of it; `history` is its line of statuses."""

    order_id: str
    exchange_order_id: str
    account: str
    request: NewOrder  # as it is now: type, quantity, prices after modifications and protection
    asked: NewOrder  # as it was first asked
    status: SandboxStatus
    filled_quantity: int
    average_price_paise: int
    placed_ns: int
    updated_ns: int
    number: int
    modifications: int
    reason: str
    trades: tuple[SandboxTrade, ...]
    history: tuple[tuple[SandboxStatus, int, str], ...]  # status, at_ns, reason

    @property
    def pending_quantity(self) -> int:
        return 0 if self.status in FINAL else self.request.quantity - self.filled_quantity


FINAL = frozenset({SandboxStatus.COMPLETE, SandboxStatus.CANCELLED, SandboxStatus.REJECTED})


class Why(StrEnum):
    """Why a request is refused before it becomes an order, or an order is rejected; each face has its words for it."""

    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    BAD_VALUE = "BAD_VALUE"
    LOT_SIZE = "LOT_SIZE"
    TICK_SIZE = "TICK_SIZE"
    FREEZE_QUANTITY = "FREEZE_QUANTITY"
    PRICE_BAND = "PRICE_BAND"
    MARKET_PROTECTION = "MARKET_PROTECTION"
    TRIGGER_PRICE = "TRIGGER_PRICE"
    MARGIN = "MARGIN"
    HOLDINGS = "HOLDINGS"
    MARKET_CLOSED = "MARKET_CLOSED"
    ORDER_ENDED = "ORDER_ENDED"
    TOO_MANY_MODIFICATIONS = "TOO_MANY_MODIFICATIONS"
    NOT_ALLOWED = "NOT_ALLOWED"
    KILL_SWITCH = "KILL_SWITCH"


class Refusal(Exception):
    """The request does nothing. `text` says what is wrong with which field, in plain words."""

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why, self.text = why, text


@dataclass(frozen=True, slots=True)
class SandboxPosition:
    """Of one instrument and product. Values are Σ quantity × price; overnight quantities came from earlier days."""

    instrument: int
    product: Product
    overnight_quantity: int
    overnight_value_paise: int
    day_buy_quantity: int
    day_buy_value_paise: int
    day_sell_quantity: int
    day_sell_value_paise: int
    last_price_paise: int
    previous_close_paise: int
    realised_paise: int
    unrealised_paise: int

    @property
    def quantity(self) -> int:
        return self.overnight_quantity + self.day_buy_quantity - self.day_sell_quantity


@dataclass(frozen=True, slots=True)
class SandboxHolding:
    """`quantity` is all that is owned, `unsettled` how much of it is still to come."""

    instrument: int
    quantity: int
    unsettled: int
    average_price_paise: int
    last_price_paise: int
    previous_close_paise: int


@dataclass(frozen=True, slots=True)
class SandboxMargins:
    opening_paise: int
    available_paise: int
    used_paise: int
    realised_paise: int
    unrealised_paise: int


@dataclass(frozen=True, slots=True)
class TriggerLeg:
    """One leg of a standing trigger (GTT, forever order): at `trigger_paise` the order goes to the book."""

    trigger_paise: int
    order: NewOrder
    name: str = ""  # the broker's word for the leg: ENTRY, TARGET, STOPLOSS, …


class TriggerStatus(StrEnum):
    ACTIVE = "ACTIVE"
    TRIGGERED = "TRIGGERED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class StandingTrigger:
    """Outlives the day. With two legs the first that is reached cancels the other (OCO)."""

    trigger_id: str
    account: str
    source: BrokerName
    instrument: int
    legs: tuple[TriggerLeg, ...]
    reference_paise: int
    status: TriggerStatus
    created_ns: int
    updated_ns: int
    triggered_leg: int | None = None
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A login at one broker: whose, and until when (exchange time)."""

    value: str
    broker: BrokerName
    account: str
    expires_ns: int


class TokenProblem(StrEnum):
    MISSING = "MISSING"
    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class RequiredMargins:
    """Of orders, each by itself, and what all of them together need less than that."""

    alone_paise: tuple[int, ...]
    benefit_paise: int

    @property
    def together_paise(self) -> int:
        return sum(self.alone_paise) - self.benefit_paise


@dataclass(frozen=True, slots=True)
class Greeks:
    """Of one option, from the same model that prices it. `implied_volatility` is a fraction."""

    implied_volatility: float
    delta: float
    gamma: float
    theta: float
    vega: float


class Reading(Protocol[T]):
    """What a listener has to read, oldest first. Part of an `asyncio.Queue`."""

    async def get(self) -> T:
        """Waits where there is nothing."""

    def get_nowait(self) -> T:
        """Only where it is not empty."""

    def empty(self) -> bool: ...


class Exchange(Protocol):
    """Everything a face may ask. Methods that change something raise Refusal."""

    @property
    def now_ns(self) -> int:
        """The market's clock, UTC."""

    @property
    def instruments(self) -> Sequence[SandboxInstrument]: ...

    @property
    def quotes(self) -> Records:
        """QUOTE records [instruments], the market as it is now, with five levels of depth. Read only."""

    def find(self, *, exchange: str, symbol: str) -> SandboxInstrument | None:
        """By exchange (NSE, NFO, BSE, BFO) and tradingsymbol."""

    def by_exchange_token(self, segment: str, exchange_token: int) -> SandboxInstrument | None:
        """By InstrumentKey segment (NSE, NFO, BSE, BFO, INDEX) and exchange token."""

    def by_upstox_key(self, key: str) -> SandboxInstrument | None: ...

    def by_kite_token(self, token: int) -> SandboxInstrument | None: ...

    def price_band_paise(self, instrument: int) -> tuple[int, int]:
        """The day's lowest and highest allowed price."""

    # logins
    def authorise(self, broker: BrokerName, token: str | None) -> Token | TokenProblem: ...

    def login(self, broker: BrokerName, account: str) -> Token:
        """A new token; the account is made where it is new."""

    def log_out(self, token: str) -> None: ...

    # orders
    def place(self, account: str, order: NewOrder) -> SandboxOrder:
        """The order in the book, possibly REJECTED or complete already."""

    def modify(self, account: str, order_id: str, change: ChangedOrder) -> SandboxOrder: ...

    def cancel(self, account: str, order_id: str) -> SandboxOrder: ...

    def order(self, account: str, order_id: str) -> SandboxOrder:
        """Raises Refusal UNKNOWN_ORDER."""

    def orders(self, account: str) -> Sequence[SandboxOrder]:
        """Of the day, in placement order."""

    def place_trigger(
        self, account: str, source: BrokerName, instrument: int, legs: Sequence[TriggerLeg]
    ) -> StandingTrigger: ...

    def modify_trigger(self, account: str, trigger_id: str, legs: Sequence[TriggerLeg]) -> StandingTrigger: ...

    def cancel_trigger(self, account: str, trigger_id: str) -> StandingTrigger: ...

    def triggers(self, account: str) -> Sequence[StandingTrigger]: ...

    def set_kill_switch(self, account: str, *, engaged: bool) -> None: ...

    def kill_switch(self, account: str) -> bool: ...

    def exit_all(self, account: str, source: BrokerName) -> Sequence[SandboxOrder]:
        """Cancels what is open and closes every position at the market."""

    # the account
    def positions(self, account: str) -> Sequence[SandboxPosition]: ...

    def convert_position(
        self, account: str, instrument: int, *, from_product: Product, to_product: Product, quantity: int
    ) -> None: ...

    def holdings(self, account: str) -> Sequence[SandboxHolding]: ...

    def margins(self, account: str) -> SandboxMargins: ...

    def required_margins(self, orders: Sequence[NewOrder]) -> RequiredMargins:
        """As if nothing else were held."""

    # reference data
    def history(self, instrument: int, *, timeframe_seconds: int, from_ns: int, to_ns: int) -> Records:
        """CANDLE records ascending, from_ns <= open < to_ns, up to now; the day under way included."""

    def greeks(self, instrument: int) -> Greeks | None:
        """None for what is no option."""

    # what happens
    def listen_orders(self, account: str) -> Reading[SandboxOrder]:
        """Every change of the account's orders from now on. Give the queue back with `unlisten`."""

    def listen_quotes(self) -> Reading[Records]:
        """Every batch of QUOTE records that changed, from now on; a reader too slow for it loses the oldest batches."""

    def unlisten(self, queue: Reading[SandboxOrder] | Reading[Records]) -> None: ...
