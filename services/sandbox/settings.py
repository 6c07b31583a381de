"""What the sandbox is told by its environment. It needs neither Redis nor Postgres."""

from datetime import datetime
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.sandbox.options import PAISE_PER_CRORE, MarketOptions


class SandboxSettings(BaseSettings):
    """Ports, the market, its faults. A port of 0 is the system's choice."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    host: str = Field(default="127.0.0.1", validation_alias="TRADEBUS_SANDBOX_HOST")
    kite_port: int = Field(default=8101, ge=0, le=65_535, validation_alias="TRADEBUS_SANDBOX_KITE_PORT")
    dhan_port: int = Field(default=8102, ge=0, le=65_535, validation_alias="TRADEBUS_SANDBOX_DHAN_PORT")
    upstox_port: int = Field(default=8103, ge=0, le=65_535, validation_alias="TRADEBUS_SANDBOX_UPSTOX_PORT")
    admin_port: int = Field(default=8100, ge=0, le=65_535, validation_alias="TRADEBUS_SANDBOX_ADMIN_PORT")

    seed: int = Field(default=1, ge=0, le=2**62, validation_alias="TRADEBUS_SANDBOX_SEED")
    # Indian time. The default is a Wednesday morning with the exchange open.
    start: datetime = Field(default=datetime(2026, 11, 25, 9, 30), validation_alias="TRADEBUS_SANDBOX_START")  # noqa: DTZ001
    # Market seconds per wall second; 0 stands still until the admin address moves it.
    speed: float = Field(default=1.0, ge=0, le=100_000, validation_alias="TRADEBUS_SANDBOX_SPEED")
    instruments: int = Field(default=1200, ge=1, le=50_000, validation_alias="TRADEBUS_SANDBOX_INSTRUMENTS")
    ticks_per_second: float | None = Field(
        default=None, gt=0, le=1e7, validation_alias="TRADEBUS_SANDBOX_TICKS_PER_SECOND"
    )
    opening_paise: int = Field(
        default=PAISE_PER_CRORE, ge=0, le=10**17, validation_alias="TRADEBUS_SANDBOX_OPENING_PAISE"
    )
    skip_closed: bool = Field(default=False, validation_alias="TRADEBUS_SANDBOX_SKIP_CLOSED")
    limit_scale: float = Field(default=1.0, ge=0, le=1e6, validation_alias="TRADEBUS_SANDBOX_LIMIT_SCALE")
    # A broker's instrument master instead of the generated listing; one-minute candles instead of generated prices.
    master: Path | None = Field(default=None, validation_alias="TRADEBUS_SANDBOX_MASTER")
    history: Path | None = Field(default=None, validation_alias="TRADEBUS_SANDBOX_HISTORY")
    history_symbol: str | None = Field(default=None, validation_alias="TRADEBUS_SANDBOX_HISTORY_SYMBOL")
    # JSON: a list of fault rules as `POST /faults` takes them.
    faults: Path | None = Field(default=None, validation_alias="TRADEBUS_SANDBOX_FAULTS")
    fault_seed: int | None = Field(default=None, ge=0, validation_alias="TRADEBUS_SANDBOX_FAULT_SEED")
    fault_share: float = Field(default=0.01, gt=0, le=1, validation_alias="TRADEBUS_SANDBOX_FAULT_SHARE")

    log_level: str = Field(
        default="info", pattern="^(debug|info|warning|error)$", validation_alias="TRADEBUS_LOG_LEVEL"
    )
    health_host: str = Field(default="127.0.0.1", validation_alias="TRADEBUS_HEALTH_HOST")
    health_port: int = Field(default=0, ge=0, le=65_535, validation_alias="TRADEBUS_HEALTH_PORT")
    # A supervisor's child ends when this process is gone (0: nobody to watch).
    parent_pid: int = Field(default=0, ge=0, validation_alias="TRADEBUS_PARENT_PID")

    @field_validator("master", "history", "history_symbol", "faults", "ticks_per_second", "fault_seed", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def ports(self) -> dict[str, int]:
        """By face."""
        return {"kite": self.kite_port, "dhan": self.dhan_port, "upstox": self.upstox_port, "admin": self.admin_port}

    @property
    def market(self) -> MarketOptions:
        """The market's part of it."""
        return MarketOptions(
            seed=self.seed, start=self.start, speed=self.speed, instruments=self.instruments,
            ticks_per_second=self.ticks_per_second, opening_paise=self.opening_paise, skip_closed=self.skip_closed,
        )  # fmt: skip
