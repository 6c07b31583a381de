"""Commands as the gateway publishes them after validation (`commands.v1`); the external form is the gateway's."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from tradebus.contracts.base import Message
from tradebus.contracts.sessions import RiskLimits, SessionSpec, StrategyLimits


class StartTrading(Message):
    """Begin a session as `spec` fixes it."""

    TYPE: ClassVar[str] = "START_TRADING"
    spec: SessionSpec


class StopTrading(Message):
    """Flatten the session, then end it."""

    TYPE: ClassVar[str] = "STOP_TRADING"
    reason: str = "command"


class PauseTrading(Message):
    """No new entries; exits and supervision go on."""

    TYPE: ClassVar[str] = "PAUSE_TRADING"
    reason: str = "command"


class ResumeTrading(Message):
    """Allow entries again after a pause."""

    TYPE: ClassVar[str] = "RESUME_TRADING"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlattenScope:
    """Which positions of a session a FLATTEN means; None: whatever it is."""

    strategy: str | None = None
    symbol: str | None = None
    pos_id: str | None = None

    @property
    def is_whole(self) -> bool:
        return self == WHOLE_SESSION

    def holds(self, *, strategy: str, symbol: str, underlying: str | None, pos_id: str) -> bool:
        """Whether a position is meant: by its own symbol, or by that of what its contract is on."""
        return (
            self.strategy in (None, strategy)
            and self.symbol in (None, symbol, underlying)
            and self.pos_id in (None, pos_id)
        )


WHOLE_SESSION = FlattenScope()


class Flatten(Message):
    """Close every position of the session, or those of a strategy of it, in a symbol and its contracts, or the one of
    `pos_id`; the session goes on."""

    TYPE: ClassVar[str] = "FLATTEN"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "strategy", "symbol")
    reason: str = "command"
    strategy: str | None = None
    symbol: str | None = None

    @property
    def scope(self) -> FlattenScope:
        return FlattenScope(strategy=self.strategy, symbol=self.symbol, pos_id=self.pos_id)


class Settle(Message):
    """A person says what became of units that the broker does not have any more: closed by hand there, squared off. No
    order is sent. `quantity` units, all that is open where it is None, at `price_paise`, where it is None at the prices
    of the orders at the broker that closed them."""

    TYPE: ClassVar[str] = "SETTLE"
    reason: str
    quantity: int | None = Field(default=None, gt=0)
    price_paise: int | None = Field(default=None, gt=0)


class ApproveEntry(Message):
    """A person lets an entry in that waits (ENTRY_AWAITS_APPROVAL): the rules judge it anew, at the market of now."""

    TYPE: ClassVar[str] = "APPROVE_ENTRY"
    approval_id: str
    decided_by: str
    reason: str


class RefuseEntry(Message):
    """A person refuses an entry that waits."""

    TYPE: ClassVar[str] = "REFUSE_ENTRY"
    approval_id: str
    decided_by: str
    reason: str


class Kill(Message):
    """Close everything of every session and refuse entries until a person resets the switch."""

    TYPE: ClassVar[str] = "KILL"
    reason: str = "command"


class SetLimits(Message):
    """From now on these limits hold for the session, and these for strategies of it: all of them, changed or not."""

    TYPE: ClassVar[str] = "SET_LIMITS"
    limits: RiskLimits
    strategies: tuple[StrategyLimits, ...]
