"""The sum of the last n whole numbers, kept exactly."""

from collections import deque
from collections.abc import Sequence


class SumWindow:
    """Property: `total` is the sum of the last `length` values pushed, and `full` says whether there were so many."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.total = 0
        self._values: deque[int] = deque()

    @property
    def full(self) -> bool:
        return len(self._values) == self.length

    def push(self, value: int) -> None:
        values = self._values
        values.append(value)
        if len(values) > self.length:
            value -= values.popleft()
        self.total += value

    def extend(self, values: Sequence[int]) -> None:
        """Pushes several, in order."""
        for value in values[-self.length :]:
            self.push(value)

    def ratio_of(self, value: int) -> float:
        """`value` as a multiple of the window's mean; 0 where that mean is 0. Only meaningful when `full`."""
        return value * self.length / self.total if self.total else 0.0
