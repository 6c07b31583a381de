"""What strategies say (`signals.v1.strategy`; another source has a stream of its own)."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from tradebus.contracts.base import Message


class Side(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 for LONG, -1 for SHORT."""
        return 1 if self is Side.LONG else -1


class _Signal(Message):
    strategy: str
    symbol: str
    instrument: int
    side: Side
    price_paise: int = Field(gt=0)
    reason: str


class ArmLong(_Signal):
    """Conditions for a long entry are building; nothing is asked for yet."""

    TYPE: ClassVar[str] = "ARM_LONG"
    confidence: float = Field(ge=0, le=1)


class ArmShort(_Signal):
    """Conditions for a short entry are building; nothing is asked for yet."""

    TYPE: ClassVar[str] = "ARM_SHORT"
    confidence: float = Field(ge=0, le=1)


class EntrySignal(_Signal):
    """Asks for a position. `pos_id` derives from session, strategy, symbol and event time, and follows it for life."""

    TYPE: ClassVar[str] = "ENTRY_SIGNAL"
    stop_paise: int = Field(gt=0)
    target_paise: int | None = Field(default=None, gt=0)
    confidence: float = Field(ge=0, le=1)


class ExitSignal(_Signal):
    """Asks that the position `pos_id` be closed. `side` is the side of the position."""

    TYPE: ClassVar[str] = "EXIT_SIGNAL"


class StrategyFailed(Message):
    """The process of a user's strategy file keeps dying: its session is paused until it is resumed."""

    TYPE: ClassVar[str] = "STRATEGY_FAILED"
    strategy: str
    reason: str
