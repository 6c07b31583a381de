"""The strategy service's settings."""

from pydantic import Field

from tradebus.config.settings import ServiceSettings


class Settings(ServiceSettings):
    """`flush_*` bound what a crash decides again: entries of md.candles, and seconds of wall time."""

    flush_entries: int = Field(default=64, ge=1, le=10_000, validation_alias="TRADEBUS_STRATEGY_FLUSH_ENTRIES")
    flush_seconds: float = Field(default=1.0, gt=0, le=60, validation_alias="TRADEBUS_STRATEGY_FLUSH_SECONDS")
