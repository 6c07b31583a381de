"""What strategies say (`signals.v1.strategy`), what people and programs ask for (`signals.v1.manual`, `.webhook`)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from tradebus.contracts.base import Message

LEGS_MAX = 8
RATIO_MAX = 100
# The strategies that positions belong to which a person has asked for, or another program (webhook.<source>).
MANUAL = "manual"
PROGRAMS = "webhook."
_STRICT = ConfigDict(extra="forbid")


class Side(StrEnum):
    LONG = "LONG"
    SHORT = "SHORT"

    @property
    def sign(self) -> int:
        """+1 for LONG, -1 for SHORT."""
        return 1 if self is Side.LONG else -1


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract of a group. `ratio` is how many lots of it there are for one unit of the group."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    instrument: int
    symbol: str
    side: Side
    ratio: Annotated[int, Field(ge=1, le=RATIO_MAX)]
    price_paise: Annotated[int, Field(gt=0)]
    stop_paise: Annotated[int, Field(gt=0)]
    target_paise: Annotated[int, Field(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """What legs were asked for on: an instrument and its price. `legs` are all of an entry's, as they are placed; of an
    exit none."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    instrument: int
    price_paise: Annotated[int, Field(gt=0)]
    legs: tuple[Leg, ...] = ()


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
    """Asks for a position. `pos_id` derives from session, strategy, symbol and event time, and follows it for life. A
    leg's has `group`, and the others of the group follow or came before. A person may ask for a number of `lots`, in
    place of what the session's sizing asks for."""

    TYPE: ClassVar[str] = "ENTRY_SIGNAL"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "group", "lots")
    stop_paise: int = Field(gt=0)
    target_paise: int | None = Field(default=None, gt=0)
    confidence: float = Field(ge=0, le=1)
    group: Group | None = None
    lots: int | None = Field(default=None, ge=1, le=1_000_000)


class ExitSignal(_Signal):
    """Asks that the position `pos_id` be closed, and with a `group_id` what is on its way into that group. `side` is
    the side of the position."""

    TYPE: ClassVar[str] = "EXIT_SIGNAL"
    ADDED: ClassVar[tuple[str, ...]] = ("group_id", "group")
    group: Group | None = None


class StrategyFailed(Message):
    """The process of a user's strategy file keeps dying: its session is paused until it is resumed."""

    TYPE: ClassVar[str] = "STRATEGY_FAILED"
    strategy: str
    reason: str
