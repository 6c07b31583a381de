"""A strategy that takes its warm-up at once comes to the state it comes to candle by candle; indicators likewise."""

from datetime import date
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.calendar import session_for
from tradebus.indicators import Atr, Ema
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day
from tradebus.strategies.built_in.orb import Orb
from tradebus.strategies.protocol import Candle, Context

DAYS = (date(2024, 1, 1), date(2024, 1, 2), date(2024, 1, 3))


def candles_of(day: date, seed: int) -> list[tuple[Candle, Context]]:
    session = session_for(day, "derivative")
    assert session is not None
    one = SyntheticInstrument(
        instrument=0, base_price_paise=4_800_000, annual_volatility=0.35, tick_size_paise=5, daily_volume=1_000_000
    )
    rows = generate_day([one], day_open_ns=session.open_ns, minutes=375, seed=seed).tolist()
    context = Context(
        symbol="BANKNIFTY", position=None, session_open_ns=session.open_ns, session_close_ns=session.close_ns,
        put_call_ratio=None, warming_up=True,
    )  # fmt: skip
    return [(Candle(*row[:7]), context) for row in rows]


@given(seed=st.integers(0, 10_000), count=st.integers(0, 750))
@settings(max_examples=15, deadline=None)
def test_orb_warmed_up_at_once_decides_as_one_that_saw_every_candle(seed: int, count: int) -> None:
    earlier = [pair for number, day in enumerate(DAYS[:2]) for pair in candles_of(day, seed + number)]
    earlier = earlier[len(earlier) - count :]
    at_once, one_by_one = Orb(Orb.PARAMETERS()), Orb(Orb.PARAMETERS())
    assert at_once.warm_up([candle for candle, _ in earlier])
    for candle, context in earlier:
        one_by_one.on_candle(candle, context)
    today = candles_of(DAYS[2], seed + 7)
    assert [at_once.on_candle(*pair) for pair in today] == [one_by_one.on_candle(*pair) for pair in today]


@given(
    values=st.lists(st.floats(1, 1e7), max_size=60), length=st.integers(1, 20), cuts=st.lists(st.integers(0, 60))
)  # fmt: skip
def test_an_average_extended_in_pieces_is_the_average_updated_one_by_one(
    values: list[float], length: int, cuts: list[int]
) -> None:
    extended, updated = Ema(length), Ema(length)
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for start, end in pairwise(bounds):
        extended.extend(np.asarray(values[start:end], float))
    for value in values:
        updated.update(value)
    assert extended.value == updated.value


@given(seed=st.integers(0, 1000), length=st.integers(1, 30), count=st.integers(0, 80))
@settings(deadline=None)
def test_a_range_extended_at_once_is_the_range_updated_one_by_one(seed: int, length: int, count: int) -> None:
    walk = np.random.default_rng(seed)
    close = 10_000.0 + np.cumsum(walk.integers(-50, 50, count))
    high, low = close + walk.integers(0, 40, count), close - walk.integers(0, 40, count)
    extended, updated = Atr(length), Atr(length)
    extended.extend(high, low, close)
    for row in zip(high.tolist(), low.tolist(), close.tolist(), strict=True):
        updated.update(*row)
    assert extended.value == updated.value


def test_what_is_not_finite_is_refused_and_changes_nothing() -> None:
    average = Ema(2)
    average.extend(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="row 1"):
        average.extend(np.array([3.0, float("nan")]))
    assert average.update(4.0) == Ema(2).extend(np.array([1.0, 2.0, 4.0]))
