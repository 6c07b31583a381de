"""When to start a dead service again.

Invariants (property-tested): the pause grows with every short life in a row, from FIRST_DELAY_SECONDS to what the
policy allows, and never past it; a service is given up exactly at the policy's number of short lives in a row, never
where the policy has none. One life of STEADY_SECONDS begins the count anew.
"""

from dataclasses import dataclass

STEADY_SECONDS = 60.0
FIRST_DELAY_SECONDS = 0.05
_GROWTH = 4.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`lives_max`: short lives in a row after which a service is given up; None: never."""

    delay_seconds_max: float
    lives_max: int | None = None

    def delay(self, short_lives: int) -> float | None:
        """Seconds to wait before the next start after so many short lives in a row (1 or more); None: give up."""
        if self.lives_max is not None and short_lives >= self.lives_max:
            return None
        # Exponents that cannot overflow: the bound is reached long before.
        return min(self.delay_seconds_max, FIRST_DELAY_SECONDS * _GROWTH ** min(short_lives - 1, 20))


# A run that ends by itself waits for each of its services: one that keeps dying would hold it for ever.
RUN = RestartPolicy(delay_seconds_max=2.0, lives_max=5)
# A standing stack holds positions: what keeps dying is tried again for ever, and everything else goes on.
STANDING = RestartPolicy(delay_seconds_max=30.0)
# What positions are closed through must be back soon, whatever it died of.
STANDING_VITAL = RestartPolicy(delay_seconds_max=2.0)
