"""Days, and how they are cut: nothing lost, nothing twice, the file's bars given back."""

from collections.abc import Sequence
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market_data.candles.day import cumulated_volume, expand_symbol, plan_day
from services.market_data.candles.plan import DayPlan, grid_end_ns
from tradebus.calendar import session_for
from tradebus.contracts.records import CANDLE, TICK, TIMEFRAMES_SECONDS, Records
from tradebus.kernel.time import ist_to_ns

DAY = date(2024, 1, 2)
SESSION = session_for(DAY, "derivative")
MINUTE_NS = 60_000_000_000
BAR_FIELDS = [
    "ts_open_ns", "ts_close_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume", "open_interest",
]  # fmt: skip


def bars_of(closes: Sequence[int], *, instrument: int = 0, missing: int = -1) -> Records:
    """Minutes from 09:15 on, one per close, without the one at index `missing`."""
    rows = np.zeros(len(closes), CANDLE)
    rows["ts_open_ns"] = ist_to_ns(DAY, time(9, 15)) + np.arange(len(closes)) * MINUTE_NS
    rows["ts_close_ns"] = rows["ts_open_ns"] + MINUTE_NS
    rows["close_paise"] = closes
    rows["open_paise"] = np.concatenate(([closes[0]], closes[:-1]))
    rows["high_paise"] = np.maximum(rows["open_paise"], rows["close_paise"]) + 15
    rows["low_paise"] = np.minimum(rows["open_paise"], rows["close_paise"]) - 10
    rows["volume"] = np.arange(len(closes)) % 7
    rows["open_interest"] = 1000 + np.arange(len(closes))
    rows["timeframe_seconds"], rows["instrument"] = 60, instrument
    return rows[np.arange(len(closes)) != missing]


def plan_of(*bars: Records, ticks_per_minute: int = 5) -> DayPlan:
    assert SESSION is not None
    parts = [
        expand_symbol(
            each, symbol=f"S{each['instrument'][0]}", instrument=int(each["instrument"][0]),
            tick_size_paise=5, ticks_per_minute=ticks_per_minute, seed=3,
        )
        for each in bars
    ]  # fmt: skip
    ticks = np.concatenate(parts)
    sessions = {int(each["instrument"][0]): SESSION for each in bars}
    return plan_day(ticks[np.argsort(ticks["ts_event_ns"], kind="stable")], sessions=sessions)


PRICES = st.lists(st.integers(20_000, 30_000), min_size=1, max_size=40)


@given(PRICES, PRICES, st.integers(-1, 39))
def test_candles_of_expanded_bars_are_those_bars(first: list[int], second: list[int], missing: int) -> None:
    bars = [bars_of(first, instrument=0, missing=missing), bars_of(second, instrument=3)]
    bars = [each for each in bars if len(each)]
    plan = plan_of(*bars)
    for each in bars:
        mine = plan.minutes[plan.minutes["instrument"] == each["instrument"][0]]
        assert all(np.array_equal(mine[name], each[name]) for name in BAR_FIELDS)
    assert not plan.candles["flags"].any()


@given(PRICES, st.lists(st.integers(1, 45 * 60), min_size=1, max_size=12), st.data())
def test_slices_put_together_are_the_day_whatever_the_cuts(
    closes: list[int], steps: list[int], data: st.DataObject
) -> None:
    plan = plan_of(bars_of(closes))
    start_ns = ist_to_ns(DAY, time(0))
    end_ns = ist_to_ns(DAY, time(9, 15)) + 24 * 3600 * 10**9
    cuts, at = [start_ns], start_ns + int(9.25 * 3600) * 10**9
    for step in steps:
        cuts.append(at)
        at += step * 10**9 + data.draw(st.integers(0, 1))
    pieces = [plan.cut(a, b) for a, b in zip(cuts, [*cuts[1:], end_ns], strict=True)]
    assert np.array_equal(np.concatenate([piece.ticks for piece in pieces]), plan.ticks)
    assert np.array_equal(np.concatenate([piece.candles for piece in pieces]), plan.candles)
    assert np.array_equal(np.concatenate([piece.minutes for piece in pieces]), plan.minutes)
    for piece in pieces:
        times, closes_ns = piece.ticks["ts_event_ns"], piece.candles["ts_close_ns"]
        assert ((times >= piece.start_ns) & (times < piece.end_ns)).all()
        assert ((closes_ns > piece.start_ns) & (closes_ns <= piece.end_ns)).all()


@given(PRICES)
def test_next_event_is_the_first_slice_end_that_holds_something(closes: list[int]) -> None:
    plan = plan_of(bars_of(closes))
    at: int | None = ist_to_ns(DAY, time(9, 0))
    seen = 0
    while at is not None:
        end_ns = plan.next_event_ns(at)
        if end_ns is None:
            break
        assert end_ns > at
        before = plan.cut(at, end_ns - 1)
        assert len(before.ticks) == len(before.candles) == 0
        piece = plan.cut(at, end_ns)
        seen += len(piece.ticks) + len(piece.candles)
        assert len(piece.ticks) + len(piece.candles) > 0
        at = end_ns
    assert seen == len(plan.ticks) + len(plan.candles)


def test_every_timeframe_closes_inside_the_session_and_the_last_with_it() -> None:
    assert SESSION is not None
    plan = plan_of(bars_of([20_000 + i for i in range(375)]))
    for timeframe in TIMEFRAMES_SECONDS:
        closes = plan.candles["ts_close_ns"][plan.candles["timeframe_seconds"] == timeframe]
        assert len(closes) == SESSION.expected_bars(timeframe)
        assert closes.max() == SESSION.close_ns


def test_day_without_a_tick_publishes_nothing() -> None:
    assert SESSION is not None
    plan = plan_day(np.empty(0, TICK), sessions={0: SESSION})
    piece = plan.cut(SESSION.open_ns, SESSION.close_ns)
    assert len(piece.ticks) == len(piece.candles) == len(piece.minutes) == 0
    assert plan.next_event_ns(SESSION.open_ns) is None


def test_path_depends_on_the_symbol_and_not_on_its_id() -> None:
    bars = bars_of([20_000, 20_500, 20_300])
    one, other = (
        expand_symbol(bars, symbol="TCS", instrument=number, tick_size_paise=5, ticks_per_minute=9, seed=1)
        for number in (0, 17)
    )
    assert np.array_equal(one["price_paise"], other["price_paise"])
    third = expand_symbol(bars, symbol="INFY", instrument=0, tick_size_paise=5, ticks_per_minute=9, seed=1)
    assert not np.array_equal(one["ts_event_ns"], third["ts_event_ns"])


def test_volume_of_ticks_is_cumulated_per_instrument() -> None:
    ticks = np.zeros(5, TICK)
    ticks["instrument"] = [0, 1, 0, 1, 0]
    ticks["last_quantity"] = [5, 1, 0, 2, 7]
    assert cumulated_volume(ticks)["volume_cumulative"].tolist() == [5, 1, 5, 3, 12]


@given(st.integers(1, 60), st.integers(0, 400), st.integers(0, 60))
def test_grid_slices_are_contiguous_aligned_and_end_with_the_session(
    slice_seconds: int, minutes: int, early_seconds: int
) -> None:
    open_ns = ist_to_ns(DAY, time(9, 15))
    close_ns = open_ns + (minutes + 1) * MINUTE_NS
    slice_ns = slice_seconds * 10**9
    at = open_ns - early_seconds * 10**9
    ends = []
    while at < close_ns:
        end_ns = grid_end_ns(at, open_ns=open_ns, close_ns=close_ns, slice_ns=slice_ns)
        assert at < end_ns <= close_ns
        ends.append(end_ns)
        at = end_ns
    assert ends[-1] == close_ns
    assert all((end_ns - open_ns) % slice_ns == 0 for end_ns in ends[:-1])
    assert early_seconds == 0 or ends[0] == open_ns


@pytest.mark.parametrize("offset_ns", [1, 5_000_000_000])
def test_grid_finds_back_from_the_middle_of_a_slice(offset_ns: int) -> None:
    open_ns = ist_to_ns(DAY, time(9, 15))
    end_ns = grid_end_ns(open_ns + offset_ns, open_ns=open_ns, close_ns=open_ns + 10 * MINUTE_NS, slice_ns=MINUTE_NS)
    assert end_ns == open_ns + MINUTE_NS
