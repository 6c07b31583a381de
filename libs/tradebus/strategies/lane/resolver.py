"""From an opinion to what one session decides: by its position, what it took already, and its lock.

Invariants (property-tested): an entry is given without a position or legs only, once per occasion, and not while
locked; an exit with a position or legs only; the same opinions, positions and legs give the same decisions, replayed or
live.
"""

from collections.abc import Sequence
from typing import Any

from tradebus.contracts.signals import Side
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.strategies.opinions import ACTIONS, ENTER_LEGS, ENTER_LONG, ENTER_SHORT, EXIT, HOLD
from tradebus.strategies.protocol import Action, Decision, Position, RoleLeg, hold

# Fields of an OPINION as `tolist` gives them.
STOP, TARGET, OCCASION, CONFIDENCE, NUMBERS, ROW, FLAT, LONG, SHORT = range(9)
FLAT_REASON, LONG_REASON, SHORT_REASON, SPENT_REASON, LOCKED_REASON, OUTRANKED_REASON, RANK = range(9, 16)
LEGS, GROUP, GROUP_REASON = range(16, 19)
Opinion = tuple[Any, ...]

_HIGHEST = 1
_ENTERED = {ENTER_LONG: Side.LONG, ENTER_SHORT: Side.SHORT}


class Resolver:
    """Of one session, strategy and instrument. `rank_lowest` is that of a position it did not see entered; `leg_sets`
    are what opinions name by number, from 1."""

    def __init__(
        self, reasons: Sequence[str], *, lock_seconds: int = 0, rank_lowest: int = 0,
        leg_sets: Sequence[tuple[RoleLeg, ...]] = (),
    ) -> None:  # fmt: skip
        self._reasons, self._lock_ns = reasons, lock_seconds * NANOSECONDS_PER_SECOND
        self._rank_lowest, self._leg_sets = rank_lowest, leg_sets
        self._entered: tuple[Side, int] | None = None  # the side and rank of the last entry that was asked for
        self._locked_until_ns = 0
        self.taken_ns = 0  # the occasion that was taken last

    def begin_day(self) -> None:
        """What was entered on and how long nothing is entered are matters of one day."""
        self._entered, self._locked_until_ns = None, 0

    def decide(
        self, opinion: Opinion, position: Position | None, ts_ns: int, *, holds_legs: bool = False
    ) -> Decision:  # fmt: skip
        """What the session decides on an opinion of the instant `ts_ns`."""
        if position is None:
            return self._in_group(opinion, ts_ns) if holds_legs else self._flat(opinion, ts_ns)
        is_long = position.side is Side.LONG
        action, reason = opinion[LONG if is_long else SHORT], opinion[LONG_REASON if is_long else SHORT_REASON]
        if action != EXIT:
            return Decision(ACTIONS[action], self.text(reason, opinion))
        rank = opinion[RANK]
        if not rank:
            self._locked_until_ns = ts_ns + self._lock_ns
            return Decision(Action.EXIT, self.text(reason, opinion))
        if not self._outranks(rank, position.side):
            return hold(self.text(opinion[OUTRANKED_REASON], opinion))
        self._locked_until_ns = ts_ns + self._lock_ns
        return Decision(Action.EXIT, self.text(reason, opinion), confidence=round(opinion[CONFIDENCE], 2))

    def text(self, reason: int, opinion: Opinion) -> str:
        """A reason of the opinion in words."""
        text = self._reasons[reason]
        return text.format(*opinion[NUMBERS]) if "{" in text else text

    def _flat(self, opinion: Opinion, ts_ns: int) -> Decision:
        occasion_ns, action = opinion[OCCASION], opinion[FLAT]
        if occasion_ns == self.taken_ns or not occasion_ns:
            return hold(self.text(opinion[SPENT_REASON], opinion))
        locked_reason = opinion[LOCKED_REASON]
        if locked_reason and ts_ns < self._locked_until_ns:
            return hold(self.text(locked_reason, opinion))
        text = self.text(opinion[FLAT_REASON], opinion)
        if action == HOLD:
            return hold(text)
        confidence = round(opinion[CONFIDENCE], 2)
        side = _ENTERED.get(action)
        if side is None and action != ENTER_LEGS:
            return Decision(ACTIONS[action], text, confidence=confidence)
        if ts_ns < self._locked_until_ns:
            return hold(f"trade_locked: {text}")
        self.taken_ns = occasion_ns
        self._locked_until_ns = ts_ns + self._lock_ns
        if side is None:
            return Decision(Action.ENTER_LEGS, text, confidence=confidence, legs=self._legs(opinion[LEGS]))
        self._entered = (side, opinion[RANK])
        return Decision(ACTIONS[action], text, opinion[STOP], opinion[TARGET] or None, confidence)

    def _legs(self, number: int) -> tuple[RoleLeg, ...]:
        """None where there is no such set: an entry without legs is a HOLD that says so."""
        return self._leg_sets[number - 1] if 0 < number <= len(self._leg_sets) else ()

    def _in_group(self, opinion: Opinion, ts_ns: int) -> Decision:
        action = opinion[GROUP]
        if action == EXIT:
            self._locked_until_ns = ts_ns + self._lock_ns
        return Decision(ACTIONS[action], self.text(opinion[GROUP_REASON], opinion))

    def _outranks(self, rank: int, held: Side) -> bool:
        """Whether an opinion against the position ranks above what that was entered on; nothing ranks above the
        highest, which is left for its like."""
        entered = self._entered
        held_rank = entered[1] if entered is not None and entered[0] is held else self._rank_lowest
        return rank < held_rank or rank == held_rank == _HIGHEST
