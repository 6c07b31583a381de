"""Where a stop stands that trails the market (SPEC 10).

    long    risk = entry - stop;   level = highest since entry - distance
    short   risk = stop - entry;   level = lowest since entry + distance
    distance                       so many R of that risk, per cent of the best price, or rupees

A new stop is put on a tick on the side away from the market. Invariants, property-tested: a stop only tightens; one
that moves moves by a step or more, and stays at least one tick on the safe side of the market; a distance in R is none
without a risk. Steps grow with the changes that an order has had, for brokers take only so many.

Inside, prices of a short are taken negative: what is said of a long then holds for both.
"""

from dataclasses import dataclass

from tradebus.contracts.sessions import Trailing
from tradebus.contracts.signals import Side
from tradebus.trading.size.sizing import millionths

_MILLIONTHS = 1_000_000
# After so many changes of an order its steps are twice as long: twenty changes reach as far as seventy-five would.
CHANGES_PER_STEP = 5


@dataclass(frozen=True, slots=True)
class Trail:
    """What a `Trailing` comes to for one position. Paise; `pct_millionths` of the best price where it is not 0, else
    `distance_paise`. `begins_paise`: the price that must have been reached before, None where it trails from the
    first."""

    side: Side
    tick_size_paise: int
    distance_paise: int
    pct_millionths: int
    step_paise: int
    begins_paise: int | None

    def level_paise(self, best_paise: int) -> int:
        """Where the trail stands, to the paisa away from the market. `best_paise` is the highest price since entry for
        a long, the lowest for a short."""
        return best_paise - self.side.sign * max(
            self.tick_size_paise,
            self.distance_paise or -(-best_paise * self.pct_millionths // _MILLIONTHS),
        )

    def next_paise(self, stop_paise: int, *, changes: int) -> int:
        """The nearest level that a stop would be moved to, after so many changes."""
        return stop_paise + self.side.sign * (self.step_paise << (changes // CHANGES_PER_STEP))

    def needs_paise(self, level_paise: int) -> int:
        """The best price at which the trail stands at that level."""
        sign, tick = self.side.sign, self.tick_size_paise
        level = sign * level_paise
        if self.distance_paise:
            needed = level + max(tick, self.distance_paise)
        elif level > 0:
            needed = max(level + tick, -(-level * _MILLIONTHS // (_MILLIONTHS - self.pct_millionths)))
        else:
            needed = max(level + tick, -(-level * _MILLIONTHS // (_MILLIONTHS + self.pct_millionths)))
        if self.begins_paise is not None:
            needed = max(needed, sign * self.begins_paise)
        return sign * needed

    def stop_paise(self, stop_paise: int, *, best_paise: int, market_paise: int, changes: int) -> int:
        """The stop to have now: that of before, or one that is a step or more tighter, on a tick that the market has
        not reached. Where the market is beyond the trail's level already it is the tick next to the market."""
        sign, tick = self.side.sign, self.tick_size_paise
        if self.begins_paise is not None and sign * best_paise < sign * self.begins_paise:
            return stop_paise
        wanted = min(sign * self.level_paise(best_paise), sign * market_paise - tick) // tick * tick
        return sign * wanted if wanted >= sign * self.next_paise(stop_paise, changes=changes) else stop_paise


def trail_of(
    trailing: Trailing, *, side: Side, entry_price_paise: int, initial_stop_paise: int, tick_size_paise: int
) -> Trail | None:
    """The trail of a position that was entered at this price, behind this stop; None where no distance is given, or one
    in a risk that the stop did not give."""
    risk_paise = side.sign * (entry_price_paise - initial_stop_paise)
    if risk_paise <= 0 and (trailing.distance_r is not None or trailing.after_r):
        return None
    distance_paise, pct_millionths = 0, 0
    if trailing.distance_r is not None:
        distance_paise = max(1, _share(risk_paise, millionths(trailing.distance_r)))
    elif trailing.distance_pct is not None:
        pct_millionths = max(1, millionths(trailing.distance_pct) // 100)
    elif trailing.distance_paise is not None:
        distance_paise = trailing.distance_paise
    else:
        return None
    begins_paise = None
    if trailing.after_r:
        begins_paise = entry_price_paise + side.sign * _share(risk_paise, millionths(trailing.after_r))
    tick = tick_size_paise
    whole_paise = distance_paise or _share(entry_price_paise, pct_millionths)
    step_paise = max(tick, -(-_share(whole_paise, millionths(trailing.step_pct) // 100) // tick) * tick)
    return Trail(side, tick, distance_paise, pct_millionths, step_paise, begins_paise)


def _share(paise: int, of_millionths: int) -> int:
    """Rounded up."""
    return -(-paise * of_millionths // _MILLIONTHS)
