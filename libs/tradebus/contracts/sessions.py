"""What a trading session is, and the events that report on it."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from tradebus.contracts.base import Message, Model

ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Mode(StrEnum):
    BACKTEST = "backtest"
    REPLAY = "replay"
    PAPER = "paper"
    DRY_RUN = "dry-run"
    LIVE = "live"


class SessionStatus(StrEnum):
    """Where a session stands. STOPPED and FAILED are its ends."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


class StrategySpec(Model):
    """A strategy by name, or a user's own by the path of its file; parameters are validated by the strategy."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    path: str | None = None

    @property
    def source(self) -> str:
        """The service that computes its signals, and publishes them on the stream of that name."""
        return "strategy"


# What is added to an instant must stay one, in 64 bits of nanoseconds; what is counted fits a book's whole numbers.
_SECONDS_MAX: Final = 10_000_000
_COUNT_MAX: Final = 1_000_000_000


class RiskLimits(Model):
    """Limits of one session (SPEC 9). Money in paise; a limit that is None does not apply."""

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


class PaperSettings(Model):
    """The paper broker's behaviour, all in event time."""

    seed: int = 1
    latency_ms: int = Field(default=150, ge=0, le=_COUNT_MAX)
    slippage_bps: float = Field(default=1.0, ge=0, le=9_999)
    partial_fill_probability: float = Field(default=0.2, ge=0, le=1)


class SessionSpec(Model):
    """All that START_TRADING fixes for one session. Holds no secret: credentials are named, never carried.

    Orders go to `broker`, prices come from `data_broker` (None: a recorded or generated market)."""

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
