"""How often instruments are quoted: each by its own activity, and in all as many as are wanted."""

import numpy as np

from services.sandbox.domain.prices.pricing import Floats
from tradebus.kernel.time import NANOSECONDS_PER_SECOND

_ROUNDS = 30


class QuoteRate:
    """`per_second` is the wanted number in all, None for one an instrument. `activity` has shape [instruments]."""

    def __init__(self, activity: Floats, *, per_second: float | None) -> None:
        self._activity, self._per_second = activity, per_second or float(len(activity))
        self._span_ns, self._chances = 0, np.zeros(0)

    def chances(self, span_ns: int) -> Floats:
        """Each instrument's chance of a new quote in so much time, so that the wanted number comes out in all."""
        if self._span_ns != span_ns:
            activity = self._activity
            wanted = min(self._per_second * (span_ns / NANOSECONDS_PER_SECOND), len(activity) * 0.999)
            scale = wanted / float(activity.sum())
            for _ in range(_ROUNDS):  # those that reach certainty leave their share to the others
                scale *= wanted / max(float(np.minimum(1.0, activity * scale).sum()), 1e-12)
            self._span_ns, self._chances = span_ns, np.minimum(1.0, activity * scale)
        return self._chances
