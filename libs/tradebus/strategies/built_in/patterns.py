"""Candlestick patterns, as pure functions of prices in whole paise (SPEC 6.1).

Geometry is decided in integers, so no pattern depends on rounding. Ratios are parameters in whole percent.

Invariants (property-tested), where mirrored means every price p becomes K - p (highs and lows change places):
- A pattern and its opposite are mirror images: hammer(c) == shooting_star(mirrored c), and so for every pair.
- Moving all prices by a constant, or multiplying them by a positive one, changes no answer.
- No candle is both a pattern and its opposite; a candle without range (high == low) is none of them.
- A hammer's close, and a bullish strong candle's, lie in the upper half of its range.
"""

from tradebus.strategies.protocol import Candle


def range_paise(candle: Candle) -> int:
    """High minus low."""
    return candle.high_paise - candle.low_paise


def body_paise(candle: Candle) -> int:
    """The distance between open and close, never negative."""
    return abs(candle.close_paise - candle.open_paise)


def upper_wick_paise(candle: Candle) -> int:
    """High minus the upper end of the body."""
    return candle.high_paise - max(candle.open_paise, candle.close_paise)


def lower_wick_paise(candle: Candle) -> int:
    """The lower end of the body minus low."""
    return min(candle.open_paise, candle.close_paise) - candle.low_paise


def direction(candle: Candle) -> int:
    """+1 for a close above the open, -1 below it, 0 at it."""
    return (candle.close_paise > candle.open_paise) - (candle.close_paise < candle.open_paise)


def is_hammer(candle: Candle) -> bool:
    """A small body at the top of a long lower wick: the wick is at least twice the body and 60 % of the range, the
    upper wick at most 15 % of the range, and there is a body. Its colour does not matter."""
    return _is_pin(candle, tail_paise=lower_wick_paise(candle), nose_paise=upper_wick_paise(candle))


def is_shooting_star(candle: Candle) -> bool:
    """The mirror image of a hammer."""
    return _is_pin(candle, tail_paise=upper_wick_paise(candle), nose_paise=lower_wick_paise(candle))


def _is_pin(candle: Candle, *, tail_paise: int, nose_paise: int) -> bool:
    whole, body = range_paise(candle), body_paise(candle)
    return body > 0 and tail_paise >= 2 * body and 100 * tail_paise >= 60 * whole and 100 * nose_paise <= 15 * whole


def is_bullish_engulfing(previous: Candle, candle: Candle) -> bool:
    """A rising candle whose body covers the falling body before it on both sides and is larger."""
    return (
        direction(previous) < 0 < direction(candle)
        and candle.open_paise <= previous.close_paise
        and candle.close_paise >= previous.open_paise
        and body_paise(candle) > body_paise(previous)
    )


def is_bearish_engulfing(previous: Candle, candle: Candle) -> bool:
    """The mirror image of a bullish engulfing."""
    return (
        direction(candle) < 0 < direction(previous)
        and candle.open_paise >= previous.close_paise
        and candle.close_paise <= previous.open_paise
        and body_paise(candle) > body_paise(previous)
    )


def is_inside_bar(mother: Candle, candle: Candle) -> bool:
    """A candle within the range of the one before it, and smaller: it may touch one end, never both."""
    return (
        candle.high_paise <= mother.high_paise
        and candle.low_paise >= mother.low_paise
        and range_paise(candle) < range_paise(mother)
    )


def strong_direction(candle: Candle, *, body_pct: int = 60, extreme_pct: int = 20) -> int:
    """+1 or -1 for a strong candle, else 0: the body is more than `body_pct` of the range and the close lies within
    `extreme_pct` of the range from the end it moved to."""
    whole = range_paise(candle)
    if whole <= 0 or 100 * body_paise(candle) <= body_pct * whole:
        return 0
    rising = direction(candle)
    away_paise = candle.high_paise - candle.close_paise if rising > 0 else candle.close_paise - candle.low_paise
    return rising if 100 * away_paise <= extreme_pct * whole else 0


def distance_to_level_paise(candle: Candle, level_paise: float) -> float:
    """How far the candle stayed from a level: 0 where its range touched it."""
    return max(0.0, level_paise - candle.high_paise, candle.low_paise - level_paise)
