"""Which of two averages stands above the other, and for how long: what strategies of crossovers share.

Invariants (property-tested through the strategies): a cross serves one entry at most, and none serves that was not
seen; averages that are equal leave the stance as it was.
"""

from tradebus.contracts.signals import Side
from tradebus.strategies.protocol import Action, Decision, hold

_ORDERS = {1: "ema_fast>ema_slow", -1: "ema_fast<ema_slow", 0: "ema_fast=ema_slow"}


class Crossing:
    """Of one instrument."""

    def __init__(self) -> None:
        self.stance = 0  # +1 fast above slow, -1 below; 0 before there was either
        self._candles_since = 0
        self._is_spent = True  # no entry on a stance whose cross was not seen

    @property
    def order(self) -> str:
        """How they stand, in words."""
        return _ORDERS[self.stance]

    def follow(self, fast: float, slow: float) -> None:
        """The averages of one more candle."""
        stance = (fast > slow) - (fast < slow) or self.stance
        if stance == self.stance:
            self._candles_since += 1
            return
        self._is_spent = self.stance == 0
        self.stance, self._candles_since = stance, 1

    def is_fresh(self, window_candles: int) -> bool:
        """Whether a cross that has served no entry was seen at most so many candles ago, its own counted."""
        return not self._is_spent and self._candles_since <= window_candles

    def spend(self) -> None:
        """An entry was made on it."""
        self._is_spent = True

    def with_position(self, side: Side) -> Decision:
        """The opposite cross closes a position."""
        if self.stance == -side.sign:
            return Decision(action=Action.EXIT, reason=f"opposite_cross: {self.order}")
        return hold(f"in_position: {self.order}")
