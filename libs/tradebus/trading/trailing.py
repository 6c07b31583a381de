"""Trailing the stop in R (SPEC 10).

    long    initial risk = entry - stop;   level = highest since entry - trailing_stop_r x initial risk
    short   initial risk = stop - entry;   level = lowest since entry + trailing_stop_r x initial risk

A new stop is put on a tick on the side away from the market. Invariants, property-tested: a stop only tightens; a
stop that moves stays at least one tick on the safe side of the market; trailing never begins without a risk.
"""

from decimal import Decimal

from tradebus.contracts.signals import Side
from tradebus.trading.size.sizing import millionths

_MILLIONTHS = 1_000_000


def trailing_level_paise(
    *,
    side: Side,
    entry_price_paise: int,
    initial_stop_paise: int,
    best_paise: int,
    trailing_stop_r: float | Decimal,
) -> int | None:
    """Where the trail stands, to the paisa away from the market; None where the stop gave no risk to measure in.

    `best_paise` is the highest price since entry for a long, the lowest for a short.
    """
    risk_paise = side.sign * (entry_price_paise - initial_stop_paise)
    if risk_paise <= 0:
        return None
    distance_paise = -(-millionths(trailing_stop_r) * risk_paise // _MILLIONTHS)
    return best_paise - side.sign * distance_paise


def trailed_stop_paise(
    *,
    side: Side,
    entry_price_paise: int,
    initial_stop_paise: int,
    current_stop_paise: int,
    best_paise: int,
    market_paise: int,
    trailing_stop_r: float | Decimal,
    tick_size_paise: int,
) -> int:
    """The stop to have now: the current one, or a tighter one on a tick that the market has not reached.

    Where the market is already beyond the trail's level, the answer is the tick next to the market on the safe side:
    whether that is an exit is `stop_is_hit` of the level, and the caller's to ask.
    """
    level = trailing_level_paise(
        side=side,
        entry_price_paise=entry_price_paise,
        initial_stop_paise=initial_stop_paise,
        best_paise=best_paise,
        trailing_stop_r=trailing_stop_r,
    )
    if level is None:
        return current_stop_paise
    if side is Side.LONG:
        wanted = min(level, market_paise - tick_size_paise) // tick_size_paise * tick_size_paise
        return max(current_stop_paise, wanted)
    wanted = -(-max(level, market_paise + tick_size_paise) // tick_size_paise) * tick_size_paise
    return min(current_stop_paise, wanted)


def stop_is_hit(*, side: Side, stop_paise: int, price_paise: int) -> bool:
    """Whether a trade at `price_paise` triggers the stop (at the stop counts)."""
    return side.sign * (price_paise - stop_paise) <= 0
