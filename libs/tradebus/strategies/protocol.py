"""What a strategy is.

A strategy is one Python class with typed parameters. It sees one symbol's closed candles (ticks, other symbols and
timeframes too, where it asks), its own indicator state and its position; it answers with a decision and a reason. It
does no I/O, reads no clock and draws no random number, so the same history gives the same decisions in a backtest, a
replay and live.

    class MyParameters(StrategyParameters):
        length: int = Field(default=20, ge=2)

    class MyStrategy(Strategy[MyParameters]):
        NAME = "my_strategy"
        TIMEFRAME_SECONDS = 300
        PARAMETERS = MyParameters

        def on_candle(self, candle: Candle, context: Context) -> Decision: ...

Invariants: `on_candle` is called once per closed candle in time order, warm-up candles first with
`context.warming_up` true (decisions are discarded then). State is rebuilt by replaying candles at the start of every
trading day and after a restart, so it must depend on nothing but the calls.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from tradebus.contracts.signals import Side
from tradebus.strategies.market_views import Chain, Quote
from tradebus.strategies.needs import Needs, Role, Series


class StrategyParameters(BaseModel):
    """Base of a strategy's typed parameters; an unknown name, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Action(StrEnum):
    HOLD = "HOLD"
    ARM_LONG = "ARM_LONG"
    ARM_SHORT = "ARM_SHORT"
    ENTER_LONG = "ENTER_LONG"
    ENTER_SHORT = "ENTER_SHORT"
    EXIT = "EXIT"
    ENTER_LEGS = "ENTER_LEGS"


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed candle. Prices in paise, instants in nanoseconds since the epoch, `ts_close_ns` exclusive."""

    ts_open_ns: int
    ts_close_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int


@dataclass(frozen=True, slots=True)
class Tick:
    ts_event_ns: int
    price_paise: int
    volume_cumulative: int


@dataclass(frozen=True, slots=True)
class Position:
    """The strategy's own open position in the symbol, as the ledger has it."""

    pos_id: str
    side: Side
    quantity: int
    entry_price_paise: int
    opened_ts_ns: int


@dataclass(frozen=True, slots=True)
class RoleLeg:
    """One leg of an entry, by a role that NEEDS has. Stop (required) and target are prices of the leg's own contract,
    or per cent of its price at the entry: away from it to the losing side, or to the winning one. `ratio` is how many
    lots of it there are for one unit of the group."""

    role: Role
    side: Side
    stop_paise: int | None = None
    target_paise: int | None = None
    ratio: int = 1
    stop_pct: float | None = None
    target_pct: float | None = None

    def levels_at(self, price_paise: int) -> tuple[int | None, int | None]:
        """Stop and target where the contract is entered at this price."""
        stop, target = self.stop_paise, self.target_paise
        if self.stop_pct is not None:
            stop = price_paise - self.side.sign * _part(price_paise, self.stop_pct)
        if self.target_pct is not None:
            target = price_paise + self.side.sign * _part(price_paise, self.target_pct)
        return stop, target


def _part(price_paise: int, pct: float) -> int:
    return max(1, round(price_paise * float(pct) / 100))


@dataclass(frozen=True, slots=True)
class HeldLeg:
    """A leg that is open: the role and contract it was asked for by, and its position."""

    role: str
    symbol: str
    instrument: int
    group_id: str
    position: Position


@dataclass(frozen=True, slots=True)
class Context:
    """What a strategy may know beside the candle."""

    symbol: str
    position: Position | None
    session_open_ns: int  # start of continuous trading of the candle's day, from the dated calendar
    session_close_ns: int
    put_call_ratio: float | None  # None where no option chain is at hand
    warming_up: bool
    quote: Quote | None = None  # where NEEDS asks for it; None while warming up and until the first one has come
    chain: Chain | None = None  # likewise
    legs: tuple[HeldLeg, ...] = ()  # those of this strategy, asked for on this symbol, that are open
    flow: None = None  # no feed brings the order flow yet


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `stop_paise` is required for an entry, `legs` for ENTER_LEGS; `reason` always says which condition
    decided. EXIT closes the position and all legs."""

    action: Action
    reason: str
    stop_paise: int | None = None
    target_paise: int | None = None
    confidence: float = 0.5
    legs: tuple[RoleLeg, ...] = ()


P = TypeVar("P", bound=StrategyParameters)


class Strategy(ABC, Generic[P]):
    """Base class. One instance per (session, symbol)."""

    NAME: ClassVar[str]
    TIMEFRAME_SECONDS: ClassVar[int] = 60
    # Candles of TIMEFRAME_SECONDS, before the current day, that are replayed before the first decision.
    WARMUP_CANDLES: ClassVar[int] = 200
    WANTS_TICKS: ClassVar[bool] = False
    NEEDS: ClassVar[Needs] = Needs()
    PARAMETERS: ClassVar[type[StrategyParameters]]

    def __init__(self, parameters: P) -> None:
        self.parameters = parameters

    def warm_up(self, candles: Sequence[Candle]) -> bool:
        """Takes the candles of earlier days at once, and says whether it did. By default it does not: each goes to
        `on_candle`, and the answer is dropped. A strategy that does must come to the same state by it."""
        return False

    @abstractmethod
    def on_candle(self, candle: Candle, context: Context) -> Decision:
        """Decides on one closed candle."""

    def on_input(self, candle: Candle, series: Series, context: Context) -> None:
        """Takes a closed candle of another symbol or timeframe that NEEDS asks for, before the own candle that closes
        at the same instant. Decides nothing."""

    def on_tick(self, tick: Tick, context: Context) -> Decision | None:
        """Decides between candles, where WANTS_TICKS is set. None (no decision) is the default."""
        return None


@lru_cache(maxsize=4096)
def hold(reason: str) -> Decision:
    """HOLD, with its reason. A value, made once per reason: most decisions are one of a few."""
    return Decision(action=Action.HOLD, reason=reason)
