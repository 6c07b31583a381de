"""When to start a dead service again.

Invariants (property-tested): the pause grows with every death in the window, from FIRST to LAST; the fifth death
within a minute is the last one; deaths long ago do not count.
"""

from collections.abc import Sequence

WINDOW_SECONDS = 60.0
DEATHS_MAX = 5
FIRST_DELAY_SECONDS = 0.05
LAST_DELAY_SECONDS = 2.0


def restart_delay(deaths_at: Sequence[float], *, now: float) -> float | None:
    """Seconds to wait before the next start, given the moments of death so far (the last one included); None: give up.

    All in seconds of one monotonic clock.
    """
    recent = sum(1 for moment in deaths_at if now - moment < WINDOW_SECONDS)
    if recent >= DEATHS_MAX:
        return None
    return min(LAST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 4.0 ** max(0, recent - 1))
