"""How far a broker's clock is from ours, by the Date headers of its replies.

A header has whole seconds: the server wrote it somewhere between our sending and our receiving, when its clock stood
somewhere in that second. Each reply bounds the difference by a second and the time it took; several, at different
parts of the second, bound it closely.

Invariant (property-tested): the true difference, where it does not change, is within what `offset_ns` says.
"""

import threading
from collections import deque
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from tradebus.kernel.time import NANOSECONDS_PER_SECOND, datetime_to_ns

_READINGS_MAX = 16
_OLD_NS = 60 * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """By how much the broker's clock is ahead of ours, at least and at most."""

    least_ns: int
    most_ns: int

    @property
    def surely_ns(self) -> int:
        """The smallest difference, whichever way, that is possible."""
        return max(0, self.least_ns, -self.most_ns)


class ServerClock:
    """Fed on any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._readings: deque[tuple[int, int, int]] = deque(maxlen=_READINGS_MAX)  # received, least, most

    def heard(self, date: str, *, sent_ns: int, received_ns: int) -> None:
        """A reply came with this Date header; one that is none tells nothing."""
        try:
            said_ns = datetime_to_ns(parsedate_to_datetime(date))
        except (TypeError, ValueError):
            return
        with self._guard:
            self._readings.append(
                (received_ns, said_ns - received_ns, said_ns + NANOSECONDS_PER_SECOND - sent_ns)
            )  # fmt: skip

    def offset_ns(self) -> ClockOffset | None:
        """By the replies of the last minute; None where there is none, or they contradict each other because a clock
        was set meanwhile."""
        with self._guard:
            last_ns = max((received_ns for received_ns, _, _ in self._readings), default=0)
            recent = [one for one in self._readings if last_ns - one[0] <= _OLD_NS]
        if not recent:
            return None
        offset = ClockOffset(max(least for _, least, _ in recent), min(most for _, _, most in recent))
        return offset if offset.least_ns <= offset.most_ns else None
