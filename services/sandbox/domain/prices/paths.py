"""The value of an underlying over time where it is known instead of generated."""

from dataclasses import dataclass

import numpy as np

from services.sandbox.domain.instruments.shape import Ints
from services.sandbox.domain.prices.pricing import Floats


@dataclass(frozen=True, slots=True)
class ValuePath:
    """Points in ascending time: instants in UTC ns, values in paise. At least one."""

    at_ns: Ints
    value: Floats

    def at(self, now_ns: int) -> float:
        """The value then, between two points on the line from one to the other."""
        # Relative to the first instant: 64-bit floats do not hold nanoseconds since the epoch exactly.
        first = self.at_ns[0]
        return float(np.interp(float(now_ns - first), (self.at_ns - first).astype(np.float64), self.value))

    def several(self, instants: Ints) -> Floats:
        """The values at several instants."""
        first = self.at_ns[0]
        found: Floats = np.interp(
            (instants - first).astype(np.float64), (self.at_ns - first).astype(np.float64), self.value
        )
        return found

    def before(self, now_ns: int) -> float:
        """The last value before an instant; the first one of all where there is none."""
        place = int(np.searchsorted(self.at_ns, now_ns)) - 1
        return float(self.value[max(place, 0)])

    def covers(self, from_ns: int, to_ns: int) -> bool:
        """Whether it has a point in the span."""
        first = int(np.searchsorted(self.at_ns, from_ns))
        return first < len(self.at_ns) and bool(self.at_ns[first] < to_ns)
