"""What market_data is told by its environment."""

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode

from tradebus.config.brokers import BrokerSettings
from tradebus.config.settings import ServiceSettings
from tradebus.symbols.descriptions import INDICES

DEFAULT_SYMBOLS = (*INDICES[:2], "RELIANCE", "TCS", "INFY")

TICKS_PER_MINUTE = 30  # that a bar is expanded into
WARMUP_MINUTES = 1500  # before the first day, for strategies to warm up on


class FeedKind(StrEnum):
    HISTORY = "history"
    GENERATED = "generated"
    KITE = "kite"
    DHAN = "dhan"
    UPSTOX = "upstox"

    @property
    def is_live(self) -> bool:
        """Whether it is a broker's."""
        return self not in (FeedKind.HISTORY, FeedKind.GENERATED)


class MarketDataSettings(BrokerSettings):
    """The feed, its window and its speed."""

    feed: FeedKind = Field(default=FeedKind.GENERATED, validation_alias="TRADEBUS_FEED")
    history: Path | None = Field(default=None, validation_alias="TRADEBUS_HISTORY")
    # What the file's columns are (ts=When,close=Last), the zone of its times, what a bar's time is: as recognised.
    history_columns: str = Field(default="", validation_alias="TRADEBUS_HISTORY_COLUMNS")
    history_timezone: str = Field(default="", validation_alias="TRADEBUS_HISTORY_TIMEZONE")
    history_stamps: str = Field(default="", validation_alias="TRADEBUS_HISTORY_STAMPS")
    # History: empty means all the file holds. Generated: empty means DEFAULT_SYMBOLS.
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validation_alias="TRADEBUS_SYMBOLS")
    from_date: date | None = Field(default=None, validation_alias="TRADEBUS_FROM")
    to_date: date | None = Field(default=None, validation_alias="TRADEBUS_TO")
    # Event seconds per wall second, or "max".
    speed: Annotated[float, Field(gt=0, le=1e6)] | Literal["max"] = Field(
        default=1.0, validation_alias="TRADEBUS_SPEED"
    )
    seed: int = Field(default=1, ge=0, validation_alias="TRADEBUS_SEED")
    ticks_per_minute: int = Field(default=TICKS_PER_MINUTE, ge=4, le=600, validation_alias="TRADEBUS_TICKS_PER_MINUTE")
    slice_seconds: int = Field(default=60, ge=1, le=60, validation_alias="TRADEBUS_SLICE_SECONDS")
    start_immediately: bool = Field(default=False, validation_alias="TRADEBUS_START_IMMEDIATELY")
    # A broker's feed: the stored login it uses, by name; empty means the broker's own.
    credential: str = Field(default="", validation_alias="TRADEBUS_FEED_CREDENTIAL")
    # How long after a bar's end its last ticks may still arrive, and how long data may stay away in a session.
    close_grace_ms: int = Field(default=500, ge=0, le=900, validation_alias="TRADEBUS_CLOSE_GRACE_MS")
    feed_silent_seconds: float = Field(default=5.0, gt=0, validation_alias="TRADEBUS_FEED_SILENT_SECONDS")
    # Sockets to spread the instruments over, 0 for as few as the broker's limits need; which instruments are followed
    # in full (depth, totals, ranges: md.quotes), all where empty; the first pause before history is asked again.
    feed_connections: int = Field(default=0, ge=0, le=20, validation_alias="TRADEBUS_FEED_CONNECTIONS")
    full_symbols: Annotated[tuple[str, ...], NoDecode] = Field(default=(), validation_alias="TRADEBUS_FULL_SYMBOLS")
    backfill_retry_seconds: float = Field(default=5.0, gt=0, validation_alias="TRADEBUS_BACKFILL_RETRY_SECONDS")
    # How often the option chains of the indices whose contracts are followed are read.
    poll_seconds: float = Field(default=15.0, ge=1, le=3600, validation_alias="FEED_POLL_SECONDS")
    # How often the stored login is compared with the one in use.
    login_seconds: float = Field(default=5.0, gt=0, validation_alias="TRADEBUS_FEED_LOGIN_SECONDS")
    warmup_minutes: int = Field(default=WARMUP_MINUTES, ge=0, le=100_000, validation_alias="TRADEBUS_WARMUP_MINUTES")

    @field_validator("symbols", "full_symbols", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("history", "from_date", "to_date", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: Any) -> Any:
        return None if value == "" else value

    @property
    def credential_name(self) -> str:
        """The stored login of a broker's feed."""
        return self.credential or self.feed.value

    @model_validator(mode="after")
    def _consistent(self) -> "MarketDataSettings":
        if self.feed is FeedKind.HISTORY and self.history is None:
            raise ValueError("TRADEBUS_FEED=history needs TRADEBUS_HISTORY, the path of a file")
        if self.from_date and self.to_date and self.to_date < self.from_date:
            raise ValueError(f"TRADEBUS_TO {self.to_date} is before TRADEBUS_FROM {self.from_date}")
        if self.feed.is_live and self.paced:
            raise ValueError(f"TRADEBUS_FEED={self.feed} is live and waits for nobody: TRADEBUS_PACED=0")
        if 60 % self.slice_seconds:
            raise ValueError("TRADEBUS_SLICE_SECONDS must divide 60")
        return self


class ApiSettings(ServiceSettings):
    """Where the HTTP API listens."""

    host: str = Field(default="127.0.0.1", validation_alias="MDS_HOST")
    port: int = Field(default=8002, ge=0, le=65_535, validation_alias="MDS_PORT")
