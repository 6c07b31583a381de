"""From an opinion to what one session decides: by its position, what it took already, and its lock.

Invariants (property-tested): an entry is given without a position only, once per occasion, and not while locked; an
exit with a position only; the same opinions and positions give the same decisions, replayed or live.
"""

from collections.abc import Sequence
from typing import Any

from tradebus.contracts.signals import Side
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.strategies.opinions import ACTIONS, ENTER_LONG, ENTER_SHORT, EXIT, HOLD
from tradebus.strategies.protocol import Decision, Position, hold

# Fields of an OPINION as `tolist` gives them.
STOP, TARGET, OCCASION, CONFIDENCE, NUMBERS, ROW, FLAT, LONG, SHORT = range(9)
FLAT_REASON, LONG_REASON, SHORT_REASON, SPENT_REASON = range(9, 13)
Opinion = tuple[Any, ...]


class Resolver:
    """Of one session, strategy and instrument."""

    def __init__(self, reasons: Sequence[str], *, lock_seconds: int = 0) -> None:
        self._reasons, self._lock_ns = reasons, lock_seconds * NANOSECONDS_PER_SECOND
        self._taken_ns = 0
        self._locked_until_ns = 0

    def decide(self, opinion: Opinion, position: Position | None, ts_ns: int) -> Decision:
        """What the session decides on an opinion of the instant `ts_ns`."""
        if position is None:
            return self._flat(opinion, ts_ns)
        is_long = position.side is Side.LONG
        action, reason = opinion[LONG if is_long else SHORT], opinion[LONG_REASON if is_long else SHORT_REASON]
        if action == EXIT:
            self._locked_until_ns = ts_ns + self._lock_ns
        return Decision(ACTIONS[action], self._text(reason, opinion))

    def _flat(self, opinion: Opinion, ts_ns: int) -> Decision:
        occasion_ns, action = opinion[OCCASION], opinion[FLAT]
        if occasion_ns == self._taken_ns or not occasion_ns:
            return hold(self._text(opinion[SPENT_REASON], opinion))
        text = self._text(opinion[FLAT_REASON], opinion)
        if action == HOLD:
            return hold(text)
        confidence = round(opinion[CONFIDENCE], 2)
        if action not in (ENTER_LONG, ENTER_SHORT):
            return Decision(ACTIONS[action], text, confidence=confidence)
        if ts_ns < self._locked_until_ns:
            return hold(f"trade_locked: {text}")
        self._taken_ns = occasion_ns
        self._locked_until_ns = ts_ns + self._lock_ns
        return Decision(ACTIONS[action], text, opinion[STOP], opinion[TARGET] or None, confidence)

    def _text(self, reason: int, opinion: Opinion) -> str:
        text = self._reasons[reason]
        return text.format(*opinion[NUMBERS]) if "{" in text else text
