"""Execution's settings."""

from pydantic import Field

from tradebus.config.brokers import BrokerSettings


class ExecutionSettings(BrokerSettings):
    """Whose orders go where is in each session's spec."""

    housekeeping_seconds: float = Field(default=1.0, gt=0, validation_alias="EXECUTION_HOUSEKEEPING_SECONDS")
    orphan_seconds: float = Field(default=15.0, gt=0, validation_alias="EXECUTION_ORPHAN_SECONDS")
    # So many processes may end with one entry in hand before it is put aside unseen: an intent is not given up for
    # somebody else's crash, and one that ends processes does not do so for ever.
    lives_max: int = Field(default=10, ge=2, validation_alias="EXECUTION_LIVES_MAX")
    # So often approvals are looked for that the book has and nobody took.
    look_seconds: float = Field(default=3.0, gt=0, validation_alias="EXECUTION_LOOK_SECONDS")
    # A broker's books are read this often, and after every connection of its order stream.
    reconcile_seconds: float = Field(default=5.0, gt=0, validation_alias="EXECUTION_RECONCILE_SECONDS")
    # Books that cannot be read for so long: no position is opened in the account until they can.
    broker_lost_seconds: float = Field(default=120.0, gt=0, validation_alias="EXECUTION_BROKER_LOST_SECONDS")
    # An account that was lost is left when it is reached again; not flat after so many looks, it waits for a person.
    degraded_looks_max: int = Field(default=24, ge=1, validation_alias="EXECUTION_DEGRADED_LOOKS_MAX")
    # After a kill the broker's own kill switch is engaged too, of an account that is flat.
    kill_at_broker: bool = Field(default=False, validation_alias="EXECUTION_KILL_AT_BROKER")
    # A broker's word on an account's margin holds so long; without one no entry is sent.
    margin_max_age_seconds: float = Field(default=60.0, gt=0, validation_alias="EXECUTION_MARGIN_MAX_AGE_SECONDS")
    # A feed that lives is not as far behind the market's clock as this (seconds of the machine): what has passed
    # since has certainly passed, though no tick says so.
    feed_behind_seconds: float = Field(default=10.0, gt=0, validation_alias="EXECUTION_FEED_BEHIND_SECONDS")
    # So much event time after a position's hard end risk is left to ask for its exit; then execution closes it itself.
    square_off_grace_seconds: float = Field(default=60.0, ge=0, validation_alias="EXECUTION_SQUARE_OFF_GRACE_SECONDS")
    # A sandbox whose limits are so many times a broker's. Never of a broker itself.
    order_limit_scale: float = Field(
        default=1.0, gt=0, allow_inf_nan=False, validation_alias="EXECUTION_ORDER_LIMIT_SCALE"
    )
