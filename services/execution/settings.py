"""Execution's settings."""

from pydantic import Field

from tradebus.config.settings import ServiceSettings


class ExecutionSettings(ServiceSettings):
    """`order_gateway` is "paper" until broker adapters are added."""

    housekeeping_seconds: float = Field(default=1.0, gt=0, validation_alias="EXECUTION_HOUSEKEEPING_SECONDS")
    orphan_seconds: float = Field(default=15.0, gt=0, validation_alias="EXECUTION_ORPHAN_SECONDS")
    # High: every restart delivers again what was waiting, and an intent is never given up for somebody else's crash.
    deliveries_max: int = Field(default=100, ge=1, validation_alias="EXECUTION_DELIVERIES_MAX")
