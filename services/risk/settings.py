"""Risk's settings."""

from pathlib import Path

from pydantic import Field

from tradebus.config.brokers import MarketSettings
from tradebus.risk.terms import APPROVAL_VALID_SECONDS, MAX_SIGNAL_AGE_SECONDS


class RiskSettings(MarketSettings):
    """Durations of signals and approvals are event time, the others wall time."""

    # A signal further from the market data than this, either way, is refused.
    max_signal_age_seconds: int = Field(
        default=MAX_SIGNAL_AGE_SECONDS, ge=1, validation_alias="RISK_MAX_SIGNAL_AGE_SECONDS"
    )
    # Execution refuses an approval it reads later than this after the signal.
    approval_valid_seconds: int = Field(
        default=APPROVAL_VALID_SECONDS, ge=1, validation_alias="RISK_APPROVAL_VALID_SECONDS"
    )
    # The desk's limits over several sessions: an account, all of them.
    limits_file: Path | None = Field(default=None, validation_alias="RISK_LIMITS_FILE")
    # How often a message that fails is tried before it goes to the dead letters.
    attempts_max: int = Field(default=5, ge=1, validation_alias="RISK_ATTEMPTS_MAX")
    kill_poll_seconds: float = Field(default=0.5, gt=0, validation_alias="RISK_KILL_POLL_SECONDS")
    # How often the book is asked for what the bus has lost.
    look_seconds: float = Field(default=5.0, gt=0, validation_alias="RISK_LOOK_SECONDS")
