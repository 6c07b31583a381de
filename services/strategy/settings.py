"""The strategy service's settings."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tradebus.config.settings import ServiceSettings
from tradebus.runtime.isolation.limits import IsolationLimits
from tradebus.strategies.lane.conflicts import Conflicts


class LaneSettings(BaseSettings):
    """What decides what strategies decide: the same for the service and for the engine."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    # What becomes of several strategies of one session that want one symbol at one instant.
    conflicts: Conflicts = Field(default=Conflicts.INDEPENDENT, validation_alias="TRADEBUS_STRATEGY_CONFLICTS")


_PACED_PATIENCE = 10


class Settings(ServiceSettings, LaneSettings):
    """`flush_*` bound what a crash decides again: entries of md.candles, and seconds of wall time."""

    flush_entries: int = Field(default=64, ge=1, le=10_000, validation_alias="TRADEBUS_STRATEGY_FLUSH_ENTRIES")
    flush_seconds: float = Field(default=1.0, gt=0, le=60, validation_alias="TRADEBUS_STRATEGY_FLUSH_SECONDS")
    # How often is looked for what the bus has lost.
    look_seconds: float = Field(default=5.0, gt=0, validation_alias="TRADEBUS_STRATEGY_LOOK_SECONDS")
    # What the process of a user's strategy file may take: memory, and wall time for the answers to one batch.
    memory_mebibytes: int = Field(
        default=1536, ge=512, le=65_536, validation_alias="TRADEBUS_STRATEGY_MEMORY_MEBIBYTES"
    )
    answer_seconds: float = Field(default=2.0, gt=0, le=60, validation_alias="TRADEBUS_STRATEGY_ANSWER_SECONDS")
    # In a live market: which share of a minute a file's process may be busy before it is given up.
    busy_share: float = Field(default=0.5, gt=0, le=1, validation_alias="TRADEBUS_STRATEGY_BUSY_SHARE")

    # How often stored option chains are looked at, where a strategy needs one.
    poll_seconds: float = Field(default=15.0, ge=1, le=3600, validation_alias="FEED_POLL_SECONDS")

    @property
    def isolation(self) -> IsolationLimits:
        """A paced run waits longer: nobody's money hangs on it, and a busy machine must not change what it decides."""
        patience = _PACED_PATIENCE if self.paced else 1
        return IsolationLimits(
            memory_mebibytes=self.memory_mebibytes, answer_seconds=self.answer_seconds * patience,
            busy_share_max=self.busy_share,
        )  # fmt: skip
