"""Draws of one run: many small numbers, quickly, each use of the seed with a sequence of its own."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tradebus.kernel.rng import seed_for

T = TypeVar("T")
_BLOCK = 256


class Draws:
    """The same seed and use give the same numbers for ever."""

    def __init__(self, seed: int, *use: str | int) -> None:
        self._generator = np.random.default_rng(seed_for(seed, *use))
        self._left: list[float] = []

    def share(self) -> float:
        """From 0 up to, not including, 1."""
        if not self._left:
            self._left = self._generator.random(_BLOCK).tolist()
        return self._left.pop()

    def chance(self, probability: float) -> bool:
        return self.share() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.share()

    def below(self, count: int) -> int:
        """A whole number from 0 up to, not including, `count`."""
        return int(self.share() * count)

    def one_of(self, values: Sequence[T]) -> T:
        return values[self.below(len(values))]
