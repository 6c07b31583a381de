"""Stop and target of an entry, in whole paise.

Invariants (property-tested): the stop lies on the losing side of the price, at least one paisa and at least the floor
away, and rounding only widens it; the target lies on the winning side; both are positive, or the answer says so.
"""

import math
from dataclasses import dataclass
from typing import Final

from tradebus.contracts.signals import Side

# Of parameters: longer than any day in minutes or candles, more than any multiple that means something, and far below
# where what is compiled leaves 64 bits.
LONGEST: Final = 100_000
MULTIPLE_MAX: Final = 1_000.0


@dataclass(frozen=True, slots=True)
class Levels:
    """`target_paise` is None where it was not asked for or would not be a positive price."""

    stop_paise: int
    target_paise: int | None


def entry_levels(
    *, side: Side, price_paise: int, natural_stop_paise: float, floor_paise: float, reward_multiple: float | None
) -> Levels | None:
    """The stop at `natural_stop_paise` or `floor_paise` from the price, whichever is further; the target at
    `reward_multiple` times the stop's distance. None where the stop would not be a positive price."""
    wanted_paise = max((price_paise - natural_stop_paise) * side.sign, floor_paise, 1.0)
    distance_paise = math.ceil(wanted_paise)
    stop_paise = price_paise - side.sign * distance_paise
    if stop_paise <= 0:
        return None
    if reward_multiple is None:
        return Levels(stop_paise, None)
    target_paise = price_paise + side.sign * max(1, math.floor(reward_multiple * distance_paise + 0.5))
    return Levels(stop_paise, target_paise if target_paise > 0 else None)
