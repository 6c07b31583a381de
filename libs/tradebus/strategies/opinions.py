"""Opinions: what a compiled strategy thinks of instruments, for whoever trades them.

An opinion knows no position and no session, so that a thousand sessions share one computation. It says what is to be
done in each of the four cases (flat, long, short, in a group of legs); `lane.resolver` picks the one a session is in.

    class Lane(CompiledStrategy[Parameters]):
        NAME, TIMEFRAME_SECONDS, WARMUP_CANDLES, PARAMETERS as in `protocol`
        REASONS = ("warming_up", "close {0:.2f} above the average")     by number; {0} to {2} are `numbers`

        def on_candles(self, slots, candles, hours) -> Opinions         one OPINION per candle
        def on_ticks(self, slots, ticks) -> Opinions                    only where there is something to say

    LEGS = ((RoleLeg(Call(), Side.SHORT, stop_pct=30), RoleLeg(Put(), Side.SHORT, stop_pct=30)),)
        sets of legs by number, from 1; an opinion with `flat` ENTER_LEGS names one of them in `legs`. What they are
        worth is asked when a session enters them, so that no opinion has to know.

State is kept in arrays [slot], one slot per instrument, and updated by a few compiled calls per batch.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import Records
from tradebus.strategies.needs import Needs
from tradebus.strategies.protocol import Action, RoleLeg, StrategyParameters

OPINION = np.dtype(
    [
        ("stop_paise", "<i8"),  # of an entry
        ("target_paise", "<i8"),  # 0: none
        ("occasion_ns", "<i8"),  # an entry is taken once per occasion and session; 0: there is none
        ("confidence", "<f8"),  # rounded to two decimals where it counts
        ("numbers", "<f8", (3,)),  # what the reasons mention
        ("row", "<i4"),  # of the batch
        ("flat", "i1"),  # codes of ACTIONS: what is to be done without a position, with a long one, with a short one
        ("long", "i1"),
        ("short", "i1"),
        ("flat_reason", "i1"),  # numbers of REASONS
        ("long_reason", "i1"),
        ("short_reason", "i1"),
        ("spent_reason", "i1"),  # why nothing is entered where the occasion was taken, or there is none
        ("locked_reason", "i1"),  # what is said while the session is locked; 0: `flat_reason`, after "trade_locked: "
        ("outranked_reason", "i1"),  # why an exit does not count
        ("rank", "i1"),  # 1 is the highest: what was entered on is left for a higher one only; 0: for any
        ("legs", "i1"),  # number of a set of LEGS, from 1, where `flat` is ENTER_LEGS; else 0
        ("group", "i1"),  # code of ACTIONS: what is to be done with legs that are open, and no position beside them
        ("group_reason", "i1"),
        ("padding", "i1", (7,)),
    ]
)

ACTIONS: tuple[Action, ...] = (
    Action.HOLD, Action.ARM_LONG, Action.ARM_SHORT, Action.ENTER_LONG, Action.ENTER_SHORT, Action.EXIT,
    Action.ENTER_LEGS,
)  # fmt: skip
HOLD, ARM_LONG, ARM_SHORT, ENTER_LONG, ENTER_SHORT, EXIT, ENTER_LEGS = range(len(ACTIONS))

Int64s = npt.NDArray[np.int64]
P = TypeVar("P", bound=StrategyParameters)


class CompiledStrategy(ABC, Generic[P]):
    """One instance for all instruments and sessions with the same parameters."""

    NAME: ClassVar[str]
    TIMEFRAME_SECONDS: ClassVar[int] = 60
    WARMUP_CANDLES: ClassVar[int] = 200
    WANTS_TICKS: ClassVar[bool] = False
    NEEDS: ClassVar[Needs] = Needs()
    PARAMETERS: ClassVar[type[StrategyParameters]]
    REASONS: ClassVar[tuple[str, ...]]
    LOCK_SECONDS: ClassVar[int] = 0  # after an entry or exit, a session enters nothing for so long, on the same day
    RANK_LOWEST: ClassVar[int] = 0  # of a position of which is not known what it was entered on
    LEGS: ClassVar[tuple[tuple[RoleLeg, ...], ...]] = ()  # sets of legs, each by roles that NEEDS has

    def __init__(self, parameters: P, *, slots: int) -> None:
        self.parameters = parameters
        self.slots = slots

    @property
    def lock_seconds(self) -> int:
        """LOCK_SECONDS, where the parameters say nothing else."""
        return self.LOCK_SECONDS

    @property
    def leg_sets(self) -> tuple[tuple[RoleLeg, ...], ...]:
        """LEGS, where the parameters say nothing else."""
        return self.LEGS

    @abstractmethod
    def reset(self, slot: int) -> None:
        """The instrument in this slot begins anew: nothing seen."""

    @abstractmethod
    def on_candles(self, slots: Int64s, candles: Records, *, opens_ns: Int64s, closes_ns: Int64s) -> Records:
        """One OPINION per CANDLE record, in order. A slot may come several times. `opens_ns` and `closes_ns` are the
        session's hours of each candle's day."""

    def on_ticks(self, slots: Int64s, ticks: Records) -> Records:
        """An OPINION for each TICK record that there is something to say about, `row` ascending."""
        return np.zeros(0, OPINION)


AnyCompiled = CompiledStrategy[Any]
