"""What a trading session is, and the events that report on it."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from tradebus.contracts.base import GrownModel, Message, Model
from tradebus.contracts.orders import FillModel, PriceOrigin, Tariff

IsoDate = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Mode(StrEnum):
    BACKTEST = "backtest"
    REPLAY = "replay"
    PAPER = "paper"
    DRY_RUN = "dry-run"
    LIVE = "live"


_TARIFF_OF: Final = {"kite": Tariff.ZERODHA, "dhan": Tariff.DHAN, "upstox": Tariff.UPSTOX}


class SessionStatus(StrEnum):
    """Where a session stands. STOPPED and FAILED are its ends."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


# What is added to an instant must stay one, in 64 bits of nanoseconds; what is counted fits a book's whole numbers.
_SECONDS_MAX: Final = 10_000_000
_COUNT_MAX: Final = 1_000_000_000
_PAISE_MAX: Final = 10**15
_LEVERAGE_MAX: Final = 1_000.0


class ScopeLimits(GrownModel):
    """Limits of a part of a session (a strategy), or of several sessions together (a user, an account, all). Money in
    paise; a limit that is not given does not apply. Which of them means something where says
    `tradebus.risk.rules.holders`."""

    ADDED: ClassVar[tuple[str, ...]] = (
        "daily_max_loss_paise", "symbol_max_loss_paise", "consecutive_losses_limit", "max_concurrent_trades",
        "max_positions", "max_trades_per_symbol_per_day", "cooldown_seconds", "max_exposure_paise", "max_margin_paise",
        "max_lots_per_trade", "order_min_interval_ms", "max_orders_per_minute", "daily_max_loss_pct",
        "daily_max_loss_r", "risk_per_trade_pct", "max_exposure_pct", "max_leverage", "max_slippage_pct",
        "max_slippage_bps", "max_price_distance_pct", "max_data_age_seconds", "safe_trading_start", "safe_trading_end",
        "hard_trading_end",
    )  # fmt: skip

    daily_max_loss_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    symbol_max_loss_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    consecutive_losses_limit: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_concurrent_trades: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_positions: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_trades_per_symbol_per_day: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    cooldown_seconds: int | None = Field(default=None, ge=0, le=_SECONDS_MAX)
    max_exposure_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    max_margin_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    max_lots_per_trade: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    order_min_interval_ms: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_orders_per_minute: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    # Of the capital of what the limits hold over: a strategy's budget or else its session's, the sum of the sessions'.
    daily_max_loss_pct: float | None = Field(default=None, gt=0, le=100)
    daily_max_loss_r: float | None = Field(default=None, gt=0, le=1_000)
    risk_per_trade_pct: float | None = Field(default=None, gt=0, le=100)
    max_exposure_pct: float | None = Field(default=None, gt=0, le=1.0)
    max_leverage: float | None = Field(default=None, gt=0, le=_LEVERAGE_MAX)
    max_slippage_pct: float | None = Field(default=None, gt=0, le=100)
    max_slippage_bps: float | None = Field(default=None, gt=0, le=10_000)
    max_price_distance_pct: float | None = Field(default=None, gt=0, le=100)
    max_data_age_seconds: int | None = Field(default=None, ge=1, le=_SECONDS_MAX)
    # Beside those of the session and of the market: of two the narrower holds.
    safe_trading_start: ClockTime | None = None
    safe_trading_end: ClockTime | None = None
    hard_trading_end: ClockTime | None = None


class RiskLimits(GrownModel):
    """Limits of one session (SPEC 9). Money in paise; a limit that is None does not apply. A trade is one strategy's in
    one symbol, a position what all strategies together have in an instrument."""

    ADDED: ClassVar[tuple[str, ...]] = (
        "daily_max_loss_r", "symbol_max_loss_paise", "max_positions", "max_exposure_paise", "max_margin_paise",
        "order_min_interval_ms", "max_orders_per_minute", "max_slippage_bps", "max_price_distance_pct",
        "max_data_age_seconds",
    )  # fmt: skip

    daily_max_loss_paise: int | None = Field(default=None, gt=0)
    daily_max_loss_pct: float | None = Field(default=3.0, gt=0, le=100)
    consecutive_losses_limit: int | None = Field(default=4, ge=1, le=_COUNT_MAX)
    max_concurrent_trades: int = Field(default=3, ge=1, le=_COUNT_MAX)
    max_trades_per_symbol_per_day: int = Field(default=5, ge=1, le=_COUNT_MAX)
    cooldown_seconds: int = Field(default=300, ge=0, le=_SECONDS_MAX)
    risk_per_trade_pct: float = Field(default=1.0, gt=0, le=100)
    max_exposure_pct: float = Field(default=0.8, gt=0, le=1.0)  # share of capital × leverage, as SPEC 9 writes it
    max_leverage: float = Field(default=2.0, gt=0)
    max_slippage_pct: float = Field(default=0.5, gt=0)
    order_timeout_seconds: int = Field(default=30, ge=1, le=_SECONDS_MAX)
    max_lots_per_trade: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    # Time guards; None means the dated market rule of the instrument's class (calendar).
    safe_trading_start: ClockTime | None = None
    safe_trading_end: ClockTime | None = None
    hard_trading_end: ClockTime | None = None
    daily_max_loss_r: float | None = Field(default=None, gt=0, le=1_000)  # in R: risk_per_trade_pct of the capital
    symbol_max_loss_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    max_positions: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_exposure_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    max_margin_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    order_min_interval_ms: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_orders_per_minute: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    max_slippage_bps: float | None = Field(default=None, gt=0, le=10_000)  # that is to be expected of an entry
    max_price_distance_pct: float | None = Field(default=None, gt=0, le=100)  # of an entry from the last price
    max_data_age_seconds: int | None = Field(default=None, ge=1, le=_SECONDS_MAX)  # of the instrument's last tick


class StrategyLimits(Model):
    """The limits of one strategy of a session."""

    strategy: str
    limits: ScopeLimits


class SizingMode(StrEnum):
    """What a trade's size is asked by; the limits may leave less."""

    RISK_PER_TRADE = "risk_per_trade"  # risk_per_trade_pct of the capital over the distance to the stop
    FIXED_LOTS = "fixed_lots"  # `lots`: S3's base_lot
    FIXED_RUPEES = "fixed_rupees"  # `amount_paise` over the price
    CAPITAL_PCT = "capital_pct"  # that share of the capital over the price
    CAPITAL_PER_TICKER = "capital_per_ticker"  # `amount_paise` × max_leverage over the price
    ATR = "atr"  # risk_per_trade_pct of the capital over `atr_multiple` daily ranges of the instrument


class Sizing(GrownModel):
    """How large a trade is asked for. Each mode needs the field named beside it; `by_score` takes that share of it
    which the signal's confidence is, `of_equity` counts what was won and lost as capital."""

    ADDED: ClassVar[tuple[str, ...]] = ("lots", "amount_paise", "capital_pct", "atr_multiple")

    mode: SizingMode = SizingMode.RISK_PER_TRADE
    by_score: bool = False
    of_equity: bool = False
    lots: int | None = Field(default=None, ge=1, le=_COUNT_MAX)
    amount_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    capital_pct: float | None = Field(default=None, gt=0, le=1_000)
    atr_multiple: float | None = Field(default=None, ge=0.01, le=100)


class Trailing(Model):
    """How a stop follows the best price since entry: at one of the three distances (the first that is given; without
    any it stays). It is moved where it would be `step_pct` of the distance nearer, and not before the position was
    `after_r` in profit."""

    distance_r: float | None = Field(default=None, gt=0, le=1_000)  # in R: the entry's distance from its first stop
    distance_pct: float | None = Field(default=None, ge=0.0001, le=99)  # of the best price
    distance_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    step_pct: float = Field(default=25.0, ge=1, le=1_000)
    after_r: float = Field(default=0.0, ge=0, le=1_000)


class EntryDay(StrEnum):
    MON = "MON"
    TUE = "TUE"
    WED = "WED"
    THU = "THU"
    FRI = "FRI"


class TradingDays(GrownModel):
    """On which days a session enters; what is not given leaves no day out. `days_to_expiry` are days of trading to the
    next option expiry of what is entered, 0 on the expiry day, by the calendar's dated rules."""

    ADDED: ClassVar[tuple[str, ...]] = ("days", "expiry_days_only", "days_to_expiry", "first_day", "last_day")

    days: tuple[EntryDay, ...] | None = None
    expiry_days_only: bool | None = None
    days_to_expiry: tuple[int, ...] | None = None
    first_day: IsoDate | None = None
    last_day: IsoDate | None = None  # included

    @property
    def expiry_distances(self) -> tuple[int, ...] | None:
        """The days to expiry that count; None where any does."""
        return (0,) if self.expiry_days_only else self.days_to_expiry


class ProtectionKind(StrEnum):
    """What stands at the broker for a position: a stop, beside which execution watches the target, or the broker's own
    trigger of two legs, stop and target, which needs nobody. For a trade without a target it is a stop."""

    STOP = "stop"
    GTT = "gtt"


class StrategySpec(GrownModel):
    """A strategy by name, or a user's own by the path of its file; parameters are validated by the strategy. Its limits
    hold beside the session's; its budget is the capital its trades are sized from and the most they tie up at
    leverage 1, its sizing and its trailing stand in place of the session's."""

    ADDED: ClassVar[tuple[str, ...]] = ("limits", "sizing", "budget_paise", "trailing")

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    path: str | None = None
    limits: ScopeLimits | None = None
    sizing: Sizing | None = None
    budget_paise: int | None = Field(default=None, gt=0, le=_PAISE_MAX)
    trailing: Trailing | None = None

    @property
    def source(self) -> str:
        """The service that computes its signals, and publishes them on the stream of that name."""
        return "strategy"


class PaperSettings(GrownModel):
    """The paper broker's behaviour, all in event time. `charges`: zerodha where none is named. Where no fill model is
    named it is touch, which sessions had before there was a choice; whoever starts one gets conservative. The
    conservative model's: `participation_pct` of what trades can be had (10), taking all of it costs `impact_bps` (1);
    `prices` are those of bars or ticks; with `volumes` what has no volume was no trade."""

    ADDED: ClassVar[tuple[str, ...]] = (
        "charges", "fills", "participation_pct", "impact_bps", "prices", "volumes"
    )  # fmt: skip

    seed: int = 1
    latency_ms: int = Field(default=150, ge=0, le=_COUNT_MAX)
    slippage_bps: float = Field(default=1.0, ge=0, le=9_999)
    partial_fill_probability: float = Field(default=0.2, ge=0, le=1)
    charges: Tariff | None = None
    fills: FillModel | None = None
    participation_pct: float | None = Field(default=None, ge=0.01, le=100)
    impact_bps: float | None = Field(default=None, ge=0, le=999)
    prices: PriceOrigin | None = None
    volumes: bool | None = None

    @property
    def is_conservative(self) -> bool:
        return self.fills is FillModel.CONSERVATIVE

    @property
    def is_worst_first(self) -> bool:
        """Whether of a stop and a target in one minute it is the stop."""
        return self.is_conservative and self.prices is PriceOrigin.BARS


class SessionSpec(GrownModel):
    """All that START_TRADING fixes for one session. Holds no secret: credentials are named, never carried.

    Orders go to `broker`, prices come from `data_broker` (None: a recorded or generated market). An entry waits
    `approval_seconds` for a person's yes, where that is given, and is dropped then; exits never wait. It enters on the
    days of its `schedule`, where it has one, and leaves on any."""

    ADDED: ClassVar[tuple[str, ...]] = (
        "sizing", "approval_seconds", "trailing", "protection", "schedule", "rehearsed_broker"
    )  # fmt: skip

    session_id: str
    user_id: str
    mode: Mode = Mode.PAPER
    broker: str = "paper"
    data_broker: str | None = None
    credential: str | None = None
    symbols: tuple[str, ...] = Field(min_length=1)
    strategies: tuple[StrategySpec, ...] = Field(min_length=1)
    capital_paise: int = Field(gt=0)
    limits: RiskLimits = RiskLimits()
    paper: PaperSettings = PaperSettings()
    sizing: Sizing | None = None
    approval_seconds: int | None = Field(default=None, ge=5, le=3_600)
    trailing: Trailing | None = None
    protection: ProtectionKind | None = None  # a stop
    schedule: TradingDays | None = None
    rehearsed_broker: str | None = None  # of a dry run: whose requests its orders are shown as

    @property
    def tariff(self) -> Tariff:
        """What its trades pay: at a broker the broker's, on paper what is asked for."""
        return _TARIFF_OF.get(self.broker) or self.paper.charges or Tariff.ZERODHA

    @property
    def is_worst_first(self) -> bool:
        """Whether of a stop and a target in one bar it is the stop. An exchange says itself which it was."""
        return self.broker == "paper" and self.paper.is_worst_first

    def trailing_of(self, strategy: str) -> Trailing | None:
        """How the stops of that strategy's trades trail; None where they stay."""
        own = next((one.trailing for one in self.strategies if one.name == strategy), None)
        return own or self.trailing

    @property
    def participants(self) -> tuple[str, ...]:
        """The services that must take the session up before it runs: the sources of its signals, then who acts on
        them."""
        return (*dict.fromkeys(one.source for one in self.strategies), "risk", "execution")


class SessionStarted(Message):
    """Strategy, risk and execution have all taken the session up."""

    TYPE: ClassVar[str] = "SESSION_STARTED"
    spec: SessionSpec


class SessionStopped(Message):
    """Flat, and nothing more will happen in it."""

    TYPE: ClassVar[str] = "SESSION_STOPPED"
    reason: str
    trades: int
    net_pnl_paise: int


class SessionPaused(Message):
    """No new entries until resumed; exits and supervision go on."""

    TYPE: ClassVar[str] = "SESSION_PAUSED"
    reason: str


class SessionResumed(Message):
    """Entries are allowed again."""

    TYPE: ClassVar[str] = "SESSION_RESUMED"


class LimitChange(Model):
    """One limit: of the session, or of a strategy of it. Values for people: rupees, or "none". `widens` says that more
    may be lost or bound than before."""

    strategy: str | None
    field: str
    before: str
    after: str
    widens: bool


class LimitsChanged(Message):
    """Limits of a session were changed while it runs, by whom and why; with a `scope` ("all", "account NAME") those
    that several sessions share."""

    TYPE: ClassVar[str] = "LIMITS_CHANGED"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "scope")
    scope: str | None = None
    changed_by: str
    reason: str
    changes: tuple[LimitChange, ...]


class SessionFailed(Message):
    """The session could not start; `reason` names what is missing."""

    TYPE: ClassVar[str] = "SESSION_FAILED"
    reason: str


class FieldError(Model):
    """One bad field of a command: where, what is wrong, what to do."""

    field: str
    problem: str


class CommandRejected(Message):
    """A command was refused; every bad field is named and nothing changed."""

    TYPE: ClassVar[str] = "COMMAND_REJECTED"
    action: str | None = None
    errors: tuple[FieldError, ...]


class KillSwitch(Message):
    """The kill switch was engaged: every entry is blocked and every position is being flattened."""

    TYPE: ClassVar[str] = "KILL_SWITCH"
    reason: str


class EntryPutAside(Message):
    """A service could not handle an entry of a stream and went on without it: somebody must look. `reason` says why,
    `service` who; the entry lies in the dead letters of its stream."""

    TYPE: ClassVar[str] = "ENTRY_PUT_ASIDE"
    stream: str
    entry_id: str
    kind: str
    service: str
    reason: str
