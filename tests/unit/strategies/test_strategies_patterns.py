"""The invariants of the candle patterns, and one worked example of each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.strategies.built_in import patterns
from tradebus.strategies.protocol import Candle

PIVOT = 10_000_000
PAIRS = (
    (patterns.is_hammer, patterns.is_shooting_star, 1),
    (patterns.is_bullish_engulfing, patterns.is_bearish_engulfing, 2),
)


def candle(open_paise: int, high_paise: int, low_paise: int, close_paise: int, volume: int = 100) -> Candle:
    return Candle(0, 60, open_paise, high_paise, low_paise, close_paise, volume)


@st.composite
def any_candles(draw: st.DrawFn) -> Candle:
    # Small numbers, so that wicks and bodies meet the thresholds exactly now and then.
    low = draw(st.integers(1_000, 1_040))
    high = draw(st.integers(low, low + 40))
    return candle(draw(st.integers(low, high)), high, low, draw(st.integers(low, high)))


@st.composite
def pins(draw: st.DrawFn) -> Candle:
    """Candles that are, or nearly are, a hammer."""
    low, tail, body, nose = 1_000, draw(st.integers(10, 30)), draw(st.integers(0, 15)), draw(st.integers(0, 6))
    ends = (low + tail, low + tail + body)
    opened, closed = ends if draw(st.booleans()) else ends[::-1]
    return candle(opened, low + tail + body + nose, low, closed)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Candle, Candle]:
    """Any two candles, or two whose bodies nearly coincide with the colours exchanged."""
    previous = draw(candles())
    if draw(st.booleans()):
        return previous, draw(candles())
    opened = previous.close_paise + draw(st.integers(-3, 3))
    closed = previous.open_paise + draw(st.integers(-3, 3))
    wick = draw(st.integers(0, 5))
    return previous, candle(opened, max(opened, closed) + wick, min(opened, closed) - wick, closed)


def candles() -> st.SearchStrategy[Candle]:
    return any_candles() | pins() | pins().map(mirrored)


def mirrored(one: Candle) -> Candle:
    return candle(
        PIVOT - one.open_paise, PIVOT - one.low_paise, PIVOT - one.high_paise, PIVOT - one.close_paise, one.volume
    )


def scaled(one: Candle, factor: int, shift: int) -> Candle:
    return candle(
        *(price * factor + shift for price in (one.open_paise, one.high_paise, one.low_paise, one.close_paise))
    )


@given(pairs())
def test_opposites_are_mirror_images(pair: tuple[Candle, Candle]) -> None:
    previous, one = pair
    for pattern, opposite, length in PAIRS:
        seen = (previous, one)[-length:]
        assert pattern(*seen) == opposite(*(mirrored(item) for item in seen))
    assert patterns.is_inside_bar(previous, one) == patterns.is_inside_bar(mirrored(previous), mirrored(one))
    assert patterns.strong_direction(one) == -patterns.strong_direction(mirrored(one))


@given(pairs(), st.integers(1, 50), st.integers(0, 100_000))
def test_neither_the_price_level_nor_the_unit_matters(pair: tuple[Candle, Candle], factor: int, shift: int) -> None:
    previous, one = pair
    before, now = scaled(previous, factor, shift), scaled(one, factor, shift)
    for pattern, opposite, length in PAIRS:
        for each in (pattern, opposite):
            assert each(*(previous, one)[-length:]) == each(*(before, now)[-length:])
    assert patterns.is_inside_bar(previous, one) == patterns.is_inside_bar(before, now)
    assert patterns.strong_direction(one) == patterns.strong_direction(now)


@given(pairs())
def test_no_candle_is_a_pattern_and_its_opposite(pair: tuple[Candle, Candle]) -> None:
    previous, one = pair
    assert not (patterns.is_hammer(one) and patterns.is_shooting_star(one))
    assert not (patterns.is_bullish_engulfing(previous, one) and patterns.is_bearish_engulfing(previous, one))


@given(candles())
def test_a_hammer_and_a_bullish_strong_candle_close_in_the_upper_half(one: Candle) -> None:
    above_middle = 2 * one.close_paise > one.high_paise + one.low_paise
    assert above_middle or not patterns.is_hammer(one)
    assert above_middle or patterns.strong_direction(one) <= 0


@given(pairs())
def test_an_engulfing_body_covers_the_body_before_it(pair: tuple[Candle, Candle]) -> None:
    previous, one = pair
    if not (patterns.is_bullish_engulfing(previous, one) or patterns.is_bearish_engulfing(previous, one)):
        return
    assert patterns.direction(previous) == -patterns.direction(one) != 0
    assert min(one.open_paise, one.close_paise) <= min(previous.open_paise, previous.close_paise)
    assert max(one.open_paise, one.close_paise) >= max(previous.open_paise, previous.close_paise)
    assert patterns.body_paise(one) > patterns.body_paise(previous)


@given(candles())
def test_wicks_and_body_add_up_to_the_range(one: Candle) -> None:
    parts = (patterns.upper_wick_paise(one), patterns.body_paise(one), patterns.lower_wick_paise(one))
    assert min(parts) >= 0
    assert sum(parts) == patterns.range_paise(one)


def test_a_candle_without_range_is_no_pattern() -> None:
    flat = candle(100, 100, 100, 100)
    assert not patterns.is_hammer(flat)
    assert not patterns.is_shooting_star(flat)
    assert not patterns.is_inside_bar(flat, flat)
    assert patterns.strong_direction(flat) == 0


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (candle(190, 200, 100, 198), True),  # wick 90, body 8
        (candle(198, 200, 100, 190), True),  # colour does not matter
        (candle(160, 190, 100, 190), True),  # wick exactly twice the body
        (candle(159, 190, 100, 190), False),  # … and just not
        (candle(170, 200, 100, 185), True),  # upper wick exactly 15 %
        (candle(170, 200, 100, 184), False),
        (candle(190, 200, 100, 190), False),  # a doji has no body
        (candle(100, 200, 100, 198), False),
    ],
)
def test_hammer_geometry(one: Candle, expected: bool) -> None:
    assert patterns.is_hammer(one) is expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (candle(100, 200, 100, 180), 1),  # closes exactly 20 % from the high
        (candle(100, 200, 100, 179), 0),
        (candle(119, 200, 100, 180), 1),  # body 61 %
        (candle(120, 200, 100, 180), 0),  # body exactly 60 % is not more than 60 %
        (candle(200, 200, 100, 120), -1),
    ],
)
def test_strong_candle_geometry(one: Candle, expected: int) -> None:
    assert patterns.strong_direction(one) == expected


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (candle(150, 180, 120, 160), True),
        (candle(150, 200, 120, 160), True),  # may touch one end
        (candle(150, 200, 100, 160), False),  # not both
        (candle(150, 201, 120, 160), False),
    ],
)
def test_inside_bar_geometry(inside: Candle, expected: bool) -> None:
    assert patterns.is_inside_bar(candle(110, 200, 100, 190), inside) is expected


@pytest.mark.parametrize(
    ("previous", "now", "expected"),
    [
        (candle(150, 155, 95, 100), candle(100, 155, 95, 151), True),
        (candle(150, 155, 95, 100), candle(100, 155, 95, 150), False),  # covers it, but is not larger
        (candle(150, 155, 95, 100), candle(101, 155, 95, 160), False),  # opens above the close before
        (candle(100, 155, 95, 150), candle(100, 160, 95, 155), False),  # same colour
    ],
)
def test_bullish_engulfing_geometry(previous: Candle, now: Candle, expected: bool) -> None:
    assert patterns.is_bullish_engulfing(previous, now) is expected


@given(candles(), st.integers(900, 1_200))
def test_the_distance_to_a_level_is_zero_exactly_within_the_range(one: Candle, level: int) -> None:
    distance = patterns.distance_to_level_paise(one, level)
    assert (distance == 0) == (one.low_paise <= level <= one.high_paise)
    assert distance == min(abs(level - price) for price in range(one.low_paise, one.high_paise + 1))
