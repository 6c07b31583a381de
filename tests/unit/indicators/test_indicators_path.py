"""Expanded minutes and generated days."""

from datetime import date, time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.contracts.records import CANDLE, Records
from tradebus.indicators.candles import CandleBuilder, build_candles
from tradebus.indicators.path import expand_minutes, volume_before
from tradebus.indicators.synthetic import SyntheticInstrument, generate_day, generate_days
from tradebus.kernel.time import ist_to_ns

MINUTE_NS = 60_000_000_000
OPEN_NS = ist_to_ns(date(2024, 1, 9), time(9, 15))
INDEX = SyntheticInstrument(0, 4_850_000, 0.16, 5, 0)
EQUITY = SyntheticInstrument(1, 285_000, 0.25, 5, 4_000_000)
PENNY = SyntheticInstrument(5, 105, 0.9, 5, 1_000)
FIGURES = [name for name in CANDLE.names or () if name != "tick_count"]


@st.composite
def minutes(draw: st.DrawFn) -> Records:
    """Sound candles of a few instruments over a few, partly missing, minutes of two days; by time, then instrument."""
    places = draw(
        st.lists(st.tuples(st.sampled_from([0, 1440]), st.integers(0, 12), st.integers(0, 3)), unique=True, max_size=30)
    )
    candles = np.zeros(len(places), CANDLE)
    for candle, (day, minute, instrument) in zip(candles, sorted(places), strict=True):
        prices = sorted(draw(st.tuples(*[st.integers(1, 400)] * 4)))
        candle["ts_open_ns"], candle["instrument"] = OPEN_NS + (day + minute) * MINUTE_NS, instrument
        candle["low_paise"], candle["high_paise"] = prices[0], prices[3]
        candle["open_paise"], candle["close_paise"] = draw(st.permutations(prices[1:3]))
        candle["volume"] = draw(st.one_of(st.just(0), st.integers(0, 10_000)))
        candle["open_interest"] = draw(st.integers(0, 3))
    candles["ts_close_ns"], candles["timeframe_seconds"] = candles["ts_open_ns"] + MINUTE_NS, 60
    return candles


@settings(max_examples=150, deadline=None)
@given(minutes(), st.integers(4, 40), st.integers(0, 2**64), st.sampled_from([1, 5, 25]))
def test_the_path_of_any_candles_builds_them_again(candles: Records, count: int, seed: int, tick_size: int) -> None:
    ticks = expand_minutes(candles, count, seed, tick_size_paise=tick_size)
    again = build_candles(ticks, 4)
    assert np.array_equal(again[FIGURES], candles[FIGURES])
    assert np.all(again["tick_count"] == count)
    assert np.all(ticks["ts_event_ns"][1:] >= ticks["ts_event_ns"][:-1])


@settings(max_examples=80, deadline=None)
@given(minutes(), st.integers(4, 40), st.integers(0, 2**32))
def test_every_minute_of_the_path_is_as_promised(candles: Records, count: int, seed: int) -> None:
    volumes = volume_before(candles)
    for row in range(len(candles)):
        candle = candles[row]
        ticks = expand_minutes(candles[row : row + 1], count, seed, volumes_before=volumes[row : row + 1])
        prices, instants = ticks["price_paise"], ticks["ts_event_ns"]
        assert len(ticks) == count
        assert np.all(np.diff(instants) > 0)
        assert instants[0] >= candle["ts_open_ns"]
        assert instants[-1] < candle["ts_close_ns"]
        assert (prices[0], prices[-1]) == (candle["open_paise"], candle["close_paise"])
        assert (prices.max(), prices.min()) == (candle["high_paise"], candle["low_paise"])
        assert ticks["volume_cumulative"][-1] == volumes[row] + candle["volume"]
        assert np.array_equal(np.cumsum(ticks["last_quantity"]) + volumes[row], ticks["volume_cumulative"])
        exact = np.isin(prices, [candle[name] for name in ("open_paise", "high_paise", "low_paise", "close_paise")])
        assert np.all(prices[~exact] % 5 == 0)


@settings(max_examples=80, deadline=None)
@given(minutes(), st.integers(0, 2**32))
def test_a_minute_expands_the_same_alone_and_in_any_company(candles: Records, seed: int) -> None:
    whole = expand_minutes(candles, 7, seed)
    volumes = volume_before(candles)
    for row, candle in enumerate(candles):
        alone = expand_minutes(candles[row : row + 1], 7, seed, volumes_before=volumes[row : row + 1])
        inside = (whole["ts_event_ns"] >= candle["ts_open_ns"]) & (whole["ts_event_ns"] < candle["ts_close_ns"])
        assert np.array_equal(whole[inside & (whole["instrument"] == candle["instrument"])], alone)


@settings(max_examples=80, deadline=None)
@given(minutes())
def test_the_volume_before_a_minute_is_its_days_so_far(candles: Records) -> None:
    for row, before in zip(candles, volume_before(candles), strict=True):
        day_ns = OPEN_NS if row["ts_open_ns"] < OPEN_NS + 1440 * MINUTE_NS else OPEN_NS + 1440 * MINUTE_NS
        same = (candles["instrument"] == row["instrument"]) & (candles["ts_open_ns"] >= day_ns)
        assert before == candles["volume"][same & (candles["ts_open_ns"] < row["ts_open_ns"])].sum()


def flat_minutes(count: int, *, rise: int) -> Records:
    candles = np.zeros(count, CANDLE)
    candles["ts_open_ns"] = OPEN_NS + np.arange(count) * MINUTE_NS
    candles["timeframe_seconds"] = 60
    candles["open_paise"], candles["close_paise"] = 10_000, 10_000 + rise
    candles["low_paise"], candles["high_paise"] = 9_900, 10_100
    return candles


@pytest.mark.parametrize(("rise", "expected"), [(50, 0.7), (-50, 0.3), (0, 0.5)])
def test_a_rising_minute_more_often_visits_its_low_first(rise: int, expected: float) -> None:
    paths = expand_minutes(flat_minutes(4000, rise=rise), 12, 3)["price_paise"].reshape(-1, 12)
    assert np.mean(paths.argmin(axis=1) < paths.argmax(axis=1)) == pytest.approx(expected, abs=0.03)


def test_seeds_and_instruments_give_different_paths() -> None:
    one, other = flat_minutes(1, rise=50), flat_minutes(1, rise=50)
    other["instrument"] = 1
    paths = [expand_minutes(one, 30, 1), expand_minutes(one, 30, 2), expand_minutes(other, 30, 1)]
    assert len({tuple(path["price_paise"].tolist()) for path in paths}) == 3


def test_what_is_no_sound_minute_is_refused_with_its_row() -> None:
    for name, value in (("high_paise", 9_999), ("low_paise", 10_001), ("low_paise", 0), ("volume", -1)):
        candles = flat_minutes(3, rise=0)
        candles[name][2] = value
        with pytest.raises(ValueError, match="candle 2 cannot be expanded"):
            expand_minutes(candles, 4, 1)
    for name, value in (("timeframe_seconds", 300), ("ts_open_ns", OPEN_NS + 7)):
        candles = flat_minutes(2, rise=0)
        candles[name][0] = value
        with pytest.raises(ValueError, match="candle 0 cannot be expanded"):
            expand_minutes(candles, 4, 1)


def test_impossible_requests_are_refused() -> None:
    candles = flat_minutes(2, rise=0)
    for count in (3, 60_001):
        with pytest.raises(ValueError, match="ticks per minute"):
            expand_minutes(candles, count, 1)
    with pytest.raises(ValueError, match="tick size"):
        expand_minutes(candles, 4, 1, tick_size_paise=0)
    with pytest.raises(ValueError, match="not one figure per candle"):
        expand_minutes(candles, 4, 1, volumes_before=np.zeros(3, np.int64))
    assert len(expand_minutes(candles[:0], 4, 1)) == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400))
def test_a_generated_day_is_sound_and_complete(seed: int, count: int) -> None:
    day = generate_day([INDEX, EQUITY, PENNY], day_open_ns=OPEN_NS, minutes=count, seed=seed)
    assert np.all(day["low_paise"] > 0)
    assert np.all(day["low_paise"] <= np.minimum(day["open_paise"], day["close_paise"]))
    assert np.all(day["high_paise"] >= np.maximum(day["open_paise"], day["close_paise"]))
    for name in ("open_paise", "high_paise", "low_paise", "close_paise"):
        assert np.all(day[name] % 5 == 0)
    assert np.array_equal(day["instrument"], np.tile([0, 1, 5], count))
    assert np.array_equal(day["ts_open_ns"][::3], OPEN_NS + np.arange(count) * MINUTE_NS)
    assert np.all(day["ts_close_ns"] - day["ts_open_ns"] == MINUTE_NS)
    assert not day["volume"][::3].any()
    assert 0.95 * EQUITY.daily_volume < day["volume"][1::3].sum() <= EQUITY.daily_volume


def test_an_instruments_day_does_not_depend_on_its_company() -> None:
    together = generate_day([INDEX, EQUITY], day_open_ns=OPEN_NS, minutes=375, seed=4)
    alone = generate_day([EQUITY], day_open_ns=OPEN_NS, minutes=375, seed=4)
    assert np.array_equal(together[1::2], alone)
    assert not np.array_equal(alone, generate_day([EQUITY], day_open_ns=OPEN_NS, minutes=375, seed=5))


def test_days_go_on_from_each_others_close_and_stay_near_the_base() -> None:
    opens = [OPEN_NS + day * 1440 * MINUTE_NS for day in range(250)]
    days = list(generate_days([INDEX, EQUITY], day_opens_ns=opens, minutes=60, seed=11))
    gaps = [
        int(today["open_paise"][at]) / int(before["close_paise"][at - 2]) - 1
        for before, today in pairwise(days)
        for at in (0, 1)
    ]
    assert max(abs(gap) for gap in gaps) < 0.04
    closes = np.array([day["close_paise"][-1] for day in days]) / EQUITY.base_price_paise
    assert 0.5 < closes.min() < closes.max() < 2


def test_a_generated_day_has_seasons_moves_and_breakouts() -> None:
    opens = [OPEN_NS + day * 1440 * MINUTE_NS for day in range(60)]
    days = np.stack(list(generate_days([EQUITY], day_opens_ns=opens, minutes=375, seed=2)))
    spans = (days["high_paise"] - days["low_paise"]).mean(axis=0)
    assert spans[:15].mean() > 1.5 * spans[170:200].mean()
    assert days["volume"][:, :15].mean() > 1.5 * days["volume"][:, 170:200].mean()
    day_returns = np.log(days["close_paise"][:, -1] / days["open_paise"][:, 0])
    assert 0.5 < day_returns.std() / (0.25 / np.sqrt(252)) < 2
    tops, bottoms = days["high_paise"][:, :15].max(axis=1), days["low_paise"][:, :15].min(axis=1)
    rest = days["close_paise"][:, 15:]
    broke = (rest > tops[:, None]).any(axis=1) | (rest < bottoms[:, None]).any(axis=1)
    assert broke.mean() > 0.8


def test_the_market_factor_is_common() -> None:
    pair = [SyntheticInstrument(0, 100_000, 0.2, 1, 0, 0.8), SyntheticInstrument(1, 300_000, 0.2, 1, 0, 0.8)]
    day = generate_day(pair, day_open_ns=OPEN_NS, minutes=375, seed=9)
    moves = [np.diff(np.log(day["close_paise"][at::2])) for at in (0, 1)]
    assert np.corrcoef(moves[0], moves[1])[0, 1] > 0.5


def test_a_generated_day_expands_and_builds_again_live() -> None:
    day = generate_day([INDEX, EQUITY], day_open_ns=OPEN_NS, minutes=45, seed=1)
    built = CandleBuilder(2, start_ns=OPEN_NS)
    built.begin_day(OPEN_NS)
    emitted = []
    volumes = volume_before(day)
    for minute in range(45):
        rows = slice(2 * minute, 2 * minute + 2)
        built.apply(expand_minutes(day[rows], 20, 8, volumes_before=volumes[rows]))
        emitted.append(built.close_until(OPEN_NS + (minute + 1) * MINUTE_NS))
    assert np.array_equal(np.concatenate(emitted)[FIGURES], day[FIGURES])
