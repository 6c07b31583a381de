"""Every indicator three ways (live, bank, batch) against its definition written out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.indicators import Atr, Ema, RelativeVolume, Rsi, SessionTypicalMean, Sma, Vwap
from tradebus.indicators._series import IndicatorSeries
from tradebus.indicators.moving import EmaBank, RelativeVolumeBank, SmaBank, ema, relative_volume, sma
from tradebus.indicators.oscillators import AtrBank, RsiBank, atr, rsi
from tradebus.indicators.session import VwapBank, session_typical_mean, session_vwap, typical_price

Figures = list[float | None]
prices = st.lists(st.integers(100, 5_000_000), max_size=120)
volumes = st.lists(st.one_of(st.just(0), st.integers(0, 10_000_000)), max_size=120)
lengths = st.integers(1, 20)


@dataclass(frozen=True)
class Bar:
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int


bars = st.lists(
    st.builds(
        lambda low, span, share, volume: Bar(low + span, low, low + span * share // 4, volume),
        st.integers(100, 5_000_000),
        st.integers(0, 9_000),
        st.integers(0, 4),
        st.one_of(st.just(0), st.integers(1, 100_000)),
    ),
    max_size=120,
)


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def ema_by_definition(values: Sequence[float], length: int) -> Figures:
    figures: Figures = [None] * min(len(values), length - 1)
    for at in range(length - 1, len(values)):
        before = figures[-1] if figures else None
        weight = 2 / (length + 1)
        figures.append(mean(values[:length]) if before is None else weight * values[at] + (1 - weight) * before)
    return figures


def sma_by_definition(values: Sequence[float], length: int) -> Figures:
    return [mean(values[at + 1 - length : at + 1]) if at + 1 >= length else None for at in range(len(values))]


def relative_by_definition(values: Sequence[float], length: int) -> Figures:
    before = [None, *sma_by_definition(values, length)]
    return [value / base if base else None for value, base in zip(values, before, strict=False)]


def wilder_by_definition(values: Sequence[float], length: int) -> Figures:
    figures: Figures = [None] * min(len(values), length - 1)
    for at in range(length - 1, len(values)):
        before = figures[-1] if figures else None
        figures.append(mean(values[:length]) if before is None else (before * (length - 1) + values[at]) / length)
    return figures


def rsi_by_definition(values: Sequence[float], length: int) -> Figures:
    changes = [after - before for before, after in pairwise(values)]
    gains = wilder_by_definition([max(change, 0) for change in changes], length)
    losses = wilder_by_definition([max(-change, 0) for change in changes], length)
    figures: Figures = [None] if values else []
    for gain, loss in zip(gains, losses, strict=True):
        if gain is None or loss is None:
            figures.append(None)
        elif loss == 0:
            figures.append(100.0 if gain > 0 else 50.0)
        else:
            figures.append(100 - 100 / (1 + gain / loss))
    return figures


def atr_by_definition(candles: Sequence[Bar], length: int) -> Figures:
    ranges: list[float] = []
    for at, candle in enumerate(candles):
        last = candles[at - 1].close_paise if at else candle.close_paise
        ranges.append(max(candle.high_paise, last) - min(candle.low_paise, last))
    return wilder_by_definition(ranges, length)


def vwap_by_definition(candles: Sequence[Bar]) -> Figures:
    figures: Figures = []
    for at in range(len(candles)):
        so_far = candles[: at + 1]
        traded = sum(one.volume for one in so_far)
        worth = sum((one.high_paise + one.low_paise + one.close_paise) * one.volume for one in so_far)
        figures.append(worth / (3 * traded) if traded else None)
    return figures


def listed(figures: IndicatorSeries) -> Figures:
    assert np.array_equal(figures.ready, ~np.isnan(figures.values))
    return [float(value) if ready else None for value, ready in zip(*figures, strict=True)]


def assert_agree(got: Figures, expected: Figures) -> None:
    assert [one is None for one in got] == [one is None for one in expected]
    for one, other in zip(got, expected, strict=True):
        if one is not None and other is not None:
            assert one == pytest.approx(other, rel=1e-9, abs=1e-9)


AVERAGES = [
    pytest.param(Ema, EmaBank, ema, ema_by_definition, prices, id="ema"),
    pytest.param(Sma, SmaBank, sma, sma_by_definition, prices, id="sma"),
    pytest.param(Rsi, RsiBank, rsi, rsi_by_definition, prices, id="rsi"),
    pytest.param(RelativeVolume, RelativeVolumeBank, relative_volume, relative_by_definition, volumes, id="relative"),
]


@pytest.mark.parametrize(("live", "bank", "batch", "definition", "inputs"), AVERAGES)
def test_live_bank_and_batch_are_the_definition(
    live: type,
    bank: type,
    batch: Callable[..., IndicatorSeries],
    definition: Callable[..., Figures],
    inputs: st.SearchStrategy,
) -> None:
    @settings(max_examples=80, deadline=None)
    @given(inputs, inputs, lengths)
    def check(values: list[int], others: list[int], length: int) -> None:
        expected = definition(values, length)
        assert_agree(listed(batch(values, length)), expected)
        one = live(length)
        updates = [one.update(value) for value in values]
        assert updates == listed(batch(values, length))
        assert one.value == (updates[-1] if updates else None)
        who = np.random.default_rng(length).permutation(np.repeat([7, 3], [len(values), len(others)]))
        column = np.zeros(len(who))
        column[who == 7], column[who == 3] = values, others
        many = bank(9, length)
        parts = zip(np.array_split(who, 3), np.array_split(column, 3), strict=True)
        got = np.concatenate([many.update(names, part).values for names, part in parts])
        assert listed(IndicatorSeries(got[who == 7], ~np.isnan(got[who == 7]))) == updates
        assert listed(IndicatorSeries(got[who == 3], ~np.isnan(got[who == 3]))) == listed(batch(others, length))

    check()


@settings(max_examples=80, deadline=None)
@given(bars, lengths)
def test_atr_live_bank_and_batch_are_the_definition(candles: list[Bar], length: int) -> None:
    high, low, close = ([getattr(one, name) for one in candles] for name in ("high_paise", "low_paise", "close_paise"))
    batch = listed(atr(high=high, low=low, close=close, length=length))
    assert_agree(batch, atr_by_definition(candles, length))
    live = Atr(length)
    assert [live.update(one.high_paise, one.low_paise, one.close_paise) for one in candles] == batch
    bank = AtrBank(2, length)
    twice = [np.repeat(column, 2) for column in (high, low, close)]
    both = bank.update(np.tile([0, 1], len(candles)), high=twice[0], low=twice[1], close=twice[2])
    assert listed(IndicatorSeries(both.values[1::2], both.ready[1::2])) == batch


@settings(max_examples=80, deadline=None)
@given(bars, bars)
def test_vwap_live_bank_and_batch_are_the_definition_in_each_session(day: list[Bar], next_day: list[Bar]) -> None:
    both = day + next_day
    opens = np.array([1_700_000_000_000_000_000] * len(day) + [1_700_086_400_000_000_000] * len(next_day), np.int64)
    price = typical_price(
        high=[one.high_paise for one in both],
        low=[one.low_paise for one in both],
        close=[one.close_paise for one in both],
    )
    volume = [one.volume for one in both]
    batch = listed(session_vwap(price=price, volume=volume, session_open_ns=opens))
    assert_agree(batch, vwap_by_definition(day) + vwap_by_definition(next_day))
    level = listed(session_typical_mean(price=price, session_open_ns=opens))
    live, flat, got, got_level = Vwap(), SessionTypicalMean(), [], []
    for candles in (day, next_day):
        live.reset()
        flat.reset()
        assert live.value is None
        got += [live.update(one) for one in candles]
        got_level += [flat.update(one) for one in candles]
    assert got == batch
    assert got_level == level
    assert_agree(
        level,
        vwap_by_definition([weighted(one) for one in day]) + vwap_by_definition([weighted(one) for one in next_day]),
    )


def weighted(candle: Bar) -> Bar:
    return Bar(candle.high_paise, candle.low_paise, candle.close_paise, 1)


def test_an_index_has_no_vwap_and_its_typical_mean_must_be_asked_for() -> None:
    index, mean_price = Vwap(), SessionTypicalMean()
    for close in (100, 101, 102):
        bar = Bar(close + 1, close - 1, close, 0)
        assert index.update(bar) is None
        mean_price.update(bar)
    assert mean_price.value == 101


def test_wilders_extremes() -> None:
    assert listed(rsi([1, 2, 3, 4], 3))[-1] == 100
    assert listed(rsi([4, 3, 2, 1], 3))[-1] == 0
    assert listed(rsi([5, 5, 5, 5], 3))[-1] == 50


def test_relative_volume_leaves_the_current_volume_out_of_its_mean() -> None:
    assert listed(relative_volume([10, 10, 40, 0, 0, 7], 2)) == [None, None, 4.0, 0.0, 0.0, None]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_and_leaves_no_trace(bad: float) -> None:
    for live in (Ema(2), Sma(2), Rsi(1), RelativeVolume(1)):
        live.update(3.0)
        with pytest.raises(ValueError, match="not finite"):
            live.update(bad)
    average = Ema(2)
    average.update(3.0)
    with pytest.raises(ValueError, match="not finite"):
        average.update(bad)
    assert average.update(5.0) == 4.0
    for batch in (ema, sma, rsi, relative_volume):
        with pytest.raises(ValueError, match="row 2 cannot be taken"):
            batch([1.0, 2.0, bad], 2)
    with pytest.raises(ValueError, match="not finite"):
        Atr(2).update(bad, 1.0, 1.0)
    with pytest.raises(ValueError, match="row 0 cannot be taken"):
        atr(high=[2.0], low=[1.0], close=[bad], length=2)
    with pytest.raises(ValueError, match="row 1 cannot be taken"):
        session_vwap(price=[2.0, bad], volume=[1.0, 1.0], session_open_ns=1)


def test_a_candle_whose_close_is_not_between_its_extremes_is_refused() -> None:
    with pytest.raises(ValueError, match="between low and high"):
        Atr(2).update(high=10, low=12, close=11)
    with pytest.raises(ValueError, match="row 1 cannot be taken"):
        AtrBank(1, 2).update([0, 0], high=[10, 10], low=[9, 9], close=[9, 11])


def test_a_bank_refuses_a_bad_batch_whole() -> None:
    bank, same = EmaBank(2, 2), EmaBank(2, 2)
    for instruments in ([0, 2], [0, -1]):
        with pytest.raises(ValueError, match="row 1 cannot be taken"):
            bank.update(instruments, [5.0, 5.0])
    assert np.array_equal(
        bank.update([0, 0], [1.0, 3.0]).values, same.update([0, 0], [1.0, 3.0]).values, equal_nan=True
    )
    with pytest.raises(ValueError, match="same rows"):
        bank.update([0], [1.0, 2.0])
    with pytest.raises(ValueError, match="integers"):
        bank.update([0.5], [1.0])


def test_a_vwap_bank_refuses_an_earlier_session_whole() -> None:
    bank = VwapBank(2)
    bank.update([0], price=[100.0], volume=[1.0], session_open_ns=2_000_000)
    with pytest.raises(ValueError, match="row 1 cannot be taken"):
        bank.update([1, 0], price=[7.0, 7.0], volume=[1.0, 1.0], session_open_ns=1_000_000)
    with pytest.raises(ValueError, match="row 1 cannot be taken"):
        bank.update([1, 1], price=[7.0, 7.0], volume=[1.0, 1.0], session_open_ns=np.array([3_000_000, 1_000_000]))
    after = bank.update([0, 1], price=[200.0, 50.0], volume=[1.0, 1.0], session_open_ns=2_000_000)
    assert after.values.tolist() == [150.0, 50.0]


def test_the_rounding_of_a_large_value_does_not_outlast_its_window() -> None:
    values = [1e16, *[0.1] * 40]
    assert sma(values, 10).values[-1] == pytest.approx(0.1, rel=1e-12)
    random = np.random.default_rng(1).normal(1e6, 1e3, 200_000) + 0.1
    expected = np.convolve(random, np.ones(50) / 50, mode="valid")
    assert np.allclose(sma(random, 50).values[49:], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("length", [0, -3])
def test_a_length_that_is_not_positive_is_refused(length: int) -> None:
    for made in (Ema, Sma, Rsi, Atr, RelativeVolume):
        with pytest.raises(ValueError, match="not positive"):
            made(length)
