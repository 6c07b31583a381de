"""The candle kernel against a slow oracle that keeps every tick for ever."""

from collections import defaultdict
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.candle_ticks import FIGURES, MINUTE_NS, OPEN_NS, at, day_of_ticks, ohlcv, ticks

from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, TICK, Records
from tradebus.indicators.candles import CandleBuilder, CandleCounters, build_candles
from tradebus.kernel.time import ist_date, ist_to_ns


def builder(instruments: int = 1, *, from_open: bool = True) -> CandleBuilder:
    made = CandleBuilder(instruments, start_ns=OPEN_NS)
    if from_open:
        made.begin_day(OPEN_NS)
    return made


class Oracle:
    """The rules of `candles.py`, restated over a list of all ticks."""

    def __init__(self, start_ns: int) -> None:
        self.boundary = start_ns // MINUTE_NS
        self.bars: dict[int, dict[int, list[tuple[int, int, int, int]]]] = defaultdict(dict)
        self.written: dict[tuple[int, int], tuple[int, ...]] = {}
        self.day_begun: date | None = None
        self.counts_from_open: dict[tuple[int, int], bool] = {}
        self.dropped = 0

    def candle(self, instrument: int, bar: int) -> tuple[int, ...]:
        arrived = self.bars[instrument][bar]
        in_time = sorted(arrived, key=lambda tick: tick[0])
        prices = [tick[1] for tick in in_time]
        interests = [tick[3] for tick in in_time if tick[3] > 0]
        first_ns, last_ns = in_time[0][0], in_time[-1][0]
        assert first_ns <= last_ns
        return (prices[0], max(prices), min(prices), prices[-1], self.volume(instrument, bar), (interests or [0])[-1])

    def known(self, instrument: int, bar: int) -> list[int]:
        return [tick[2] for tick in sorted(self.bars[instrument][bar], key=lambda tick: tick[0]) if tick[2] > 0]

    def volume(self, instrument: int, bar: int) -> int:
        here = self.known(instrument, bar)
        if not here:
            return 0
        day = ist_date(bar * MINUTE_NS)
        earlier = [other for other in self.bars[instrument] if other < bar and self.known(instrument, other)]
        if earlier and ist_date(max(earlier) * MINUTE_NS) == day:
            base = self.known(instrument, max(earlier))[-1]
        else:
            base = 0 if self.counts_from_open[instrument, bar] else here[0]
        return max(0, here[-1] - base)

    def has_no_tick_on(self, day: date) -> bool:
        return all(ist_date(bar * MINUTE_NS) != day for bars in self.bars.values() for bar in bars)

    def apply(self, batch: Records) -> list[tuple[int, int, tuple[int, ...]]]:
        touched = set()
        for tick in batch:
            ts_ns, instrument = int(tick["ts_event_ns"]), int(tick["instrument"])
            bar = ts_ns // MINUTE_NS
            if not self.boundary - 8 <= bar < self.boundary + 8 or tick["price_paise"] <= 0:
                self.dropped += 1
                continue
            arrived = self.bars[instrument].setdefault(bar, [])
            self.counts_from_open.setdefault((instrument, bar), self.day_begun == ist_date(ts_ns))
            arrived.append(
                (ts_ns, int(tick["price_paise"]), int(tick["volume_cumulative"]), int(tick["open_interest"]))
            )
            touched.add(instrument)
        changed = []
        for instrument in touched:
            for bar in self.bars[instrument]:
                if bar < self.boundary and self.candle(instrument, bar) != self.written.get((instrument, bar)):
                    self.written[instrument, bar] = self.candle(instrument, bar)
                    changed.append((bar, instrument, self.candle(instrument, bar)))
        return sorted(changed)

    def close_until(self, now_ns: int) -> list[tuple[int, int, tuple[int, ...]]]:
        boundary = max(self.boundary, now_ns // MINUTE_NS)
        closed = []
        for instrument, bars in self.bars.items():
            for bar in bars:
                if self.boundary <= bar < boundary:
                    self.written[instrument, bar] = self.candle(instrument, bar)
                    closed.append((bar, instrument, self.candle(instrument, bar)))
        self.boundary = boundary
        return sorted(closed)


def as_rows(candles: Records, *, flags: int) -> list[tuple[int, int, tuple[int, ...]]]:
    assert np.all(candles["flags"] == flags)
    assert np.all(candles["timeframe_seconds"] == 60)
    assert np.all(candles["ts_close_ns"] - candles["ts_open_ns"] == MINUTE_NS)
    return [
        (int(row["ts_open_ns"]) // MINUTE_NS, int(row["instrument"]), tuple(int(row[name]) for name in FIGURES))
        for row in candles
    ]


tick_near_the_clock = st.tuples(
    st.integers(-10, 9),  # bars from the clock
    st.sampled_from([0, 1, 20_000_000_000, 59_999_999_999]),
    st.integers(0, 6),  # price; 0 is refused
    st.integers(0, 40),  # cumulative volume: unknown, resets and repeats included
    st.integers(0, 2),
    st.integers(0, 2),
)
step = st.one_of(
    st.lists(tick_near_the_clock, min_size=1, max_size=12),
    st.sampled_from([1, 1, 1, 2, 3, 7, 9, 20, 900]),
    st.just("begin day"),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(step, max_size=30), st.sampled_from([OPEN_NS, ist_to_ns(date(2024, 1, 9), time(23, 52))]))
def test_any_interleaving_gives_what_the_oracle_gives(steps: list[object], start_ns: int) -> None:
    built, oracle = CandleBuilder(3, start_ns=start_ns), Oracle(start_ns)
    for one in steps:
        if isinstance(one, int):
            now_ns = built.clock_ns + one * MINUTE_NS + 5
            assert as_rows(built.close_until(now_ns), flags=0) == oracle.close_until(now_ns)
        elif isinstance(one, list):
            batch = np.zeros(len(one), TICK)
            for record, (bars, offset_ns, price, cumulative, interest, instrument) in zip(batch, one, strict=True):
                record["ts_event_ns"] = built.clock_ns + bars * MINUTE_NS + offset_ns
                record["price_paise"], record["volume_cumulative"] = price, cumulative
                record["open_interest"], record["instrument"] = interest, instrument
            assert as_rows(built.apply(batch), flags=CANDLE_CORRECTED) == oracle.apply(batch)
        elif oracle.has_no_tick_on(ist_date(built.clock_ns)):
            built.begin_day(built.clock_ns)
            oracle.day_begun = ist_date(built.clock_ns)
    counted = built.counters
    assert counted.dropped_late + counted.dropped_ahead + counted.dropped_price == oracle.dropped
    assert built.open_bars == sum(bar >= oracle.boundary for bars in oracle.bars.values() for bar in bars)
    assert counted.accepted == sum(len(bar) for bars in oracle.bars.values() for bar in bars.values())


def test_a_candle_closes_at_its_boundary_without_a_next_tick() -> None:
    built = builder()
    assert len(built.apply(ticks((0, 100, 5), (30, 120, 9), (59.9, 110, 12)))) == 0
    assert len(built.close_until(at(59.999))) == 0
    (candle,) = built.close_until(at(60))
    assert ohlcv(candle) == (100, 120, 100, 110, 12)
    assert (candle["ts_open_ns"], candle["ts_close_ns"]) == (OPEN_NS, at(60))
    assert (candle["tick_count"], candle["flags"], candle["timeframe_seconds"]) == (3, 0, 60)
    assert len(built.close_until(at(60))) == 0


def test_a_minute_without_a_tick_is_not_emitted() -> None:
    built = builder()
    built.apply(ticks((1, 100, 1)))
    assert len(built.close_until(at(180))) == 1


def test_ticks_out_of_order_inside_the_minute() -> None:
    built = builder()
    built.apply(ticks((30, 105, 20), (10, 101, 8), (50, 103, 30), (40, 99, 25)))
    (candle,) = built.close_until(at(60))
    assert ohlcv(candle) == (101, 105, 99, 103, 30)


def test_at_equal_times_the_earlier_arrival_opens_and_the_later_one_closes() -> None:
    built = builder()
    built.apply(ticks((10, 101, 1), (10, 102, 2), (10, 103, 3)))
    (candle,) = built.close_until(at(60))
    assert (candle["open_paise"], candle["close_paise"]) == (101, 103)


def test_a_late_tick_amends_its_candle_and_the_volume_of_the_next() -> None:
    built = builder()
    built.apply(ticks((10, 100, 10), (70, 100, 50)))
    assert [int(volume) for volume in built.close_until(at(120))["volume"]] == [10, 40]
    first, second = built.apply(ticks((59, 130, 35)))
    assert ohlcv(first) == (100, 130, 100, 130, 35)
    assert ohlcv(second) == (100, 100, 100, 100, 15)
    assert first["flags"] == second["flags"] == CANDLE_CORRECTED
    assert built.counters.amended == 1


def test_a_late_tick_of_a_minute_that_had_none_makes_its_candle_as_a_correction() -> None:
    built = builder()
    built.apply(ticks((70, 100, 50)))
    built.close_until(at(120))
    late, following = built.apply(ticks((30, 90, 20)))
    assert (ohlcv(late), late["flags"]) == ((90, 90, 90, 90, 20), CANDLE_CORRECTED)
    assert following["volume"] == 30


def test_a_tick_later_than_eight_bars_is_counted_and_not_applied() -> None:
    built = builder()
    built.apply(ticks((10, 100, 10)))
    built.close_until(at(9 * 60))
    assert len(built.apply(ticks((20, 200, 20)))) == 0
    assert built.counters == CandleCounters(1, 0, 1, 0, 0)


def test_ticks_ahead_of_the_clock_wait_in_their_own_minutes() -> None:
    built = builder()
    built.apply(ticks((10, 100, 10), (70, 101, 20), (7 * 60 + 1, 102, 30), (8 * 60, 103, 40)))
    assert built.counters.dropped_ahead == 1
    assert [int(price) for price in built.close_until(at(600))["close_paise"]] == [100, 101, 102]


def test_applying_a_batch_again_changes_nothing_that_was_published() -> None:
    built = builder(2)
    batch = ticks((10, 100, 10), (10, 102, 10, 1), (20, 104, 12), (20, 103, 15), (70, 99, 30))
    built.apply(batch)
    before = built.close_until(at(60))
    assert len(built.apply(batch)) == 0
    (after,) = built.close_until(at(120))
    assert ohlcv(after) == (99, 99, 99, 99, 15)
    assert [ohlcv(row) for row in before] == [(100, 104, 100, 103, 15), (102, 102, 102, 102, 10)]


def test_volume_counts_from_the_first_figure_seen_when_the_day_was_joined_late() -> None:
    built = builder(from_open=False)
    built.apply(ticks((10, 100, 1_000_000), (20, 100, 1_000_040), (70, 100, 1_000_050)))
    assert [int(volume) for volume in built.close_until(at(120))["volume"]] == [40, 10]


def test_only_the_named_instruments_count_from_the_open() -> None:
    built = builder(2, from_open=False)
    built.begin_day(OPEN_NS, [1])
    built.apply(ticks((10, 100, 500), (10, 100, 500, 1)))
    assert [int(volume) for volume in built.close_until(at(60))["volume"]] == [0, 500]


def test_a_drop_of_the_cumulative_volume_never_makes_a_negative_volume() -> None:
    built = builder()
    built.apply(ticks((10, 100, 500), (70, 100, 200), (130, 100, 260)))
    assert [int(volume) for volume in built.close_until(at(180))["volume"]] == [500, 0, 60]


def test_volume_counts_from_a_bar_long_gone_from_the_ring() -> None:
    built = builder()
    built.apply(ticks((10, 100, 500)))
    built.close_until(at(100 * 60))
    built.apply(ticks((100 * 60 + 1, 100, 700)))
    built.close_until(at(116 * 60))
    built.apply(ticks((116 * 60 + 1, 100, 750)))
    (candle,) = built.close_until(at(117 * 60))
    assert candle["volume"] == 50


def test_a_bar_that_leaves_the_ring_late_does_not_hide_a_later_one() -> None:
    built = builder()
    built.apply(ticks((0 * 60, 100, 500)))
    built.close_until(at(3 * 60))
    built.apply(ticks((3 * 60, 100, 800)))
    built.close_until(at(19 * 60))
    # Minute 19 takes the place of minute 3, then a late minute 16 that of minute 0.
    built.apply(ticks((19 * 60, 100, 1000)))
    (late,) = built.apply(ticks((16 * 60, 100, 850)))
    assert late["volume"] == 50


def test_a_new_day_starts_its_volume_anew() -> None:
    built = builder()
    built.apply(ticks((10, 100, 900)))
    built.close_until(at(86_400))
    built.begin_day(at(86_400))
    built.apply(ticks((86_410, 100, 30)))
    (candle,) = built.close_until(at(86_460))
    assert candle["volume"] == 30


def test_a_packet_without_volume_or_interest_leaves_them_as_they_were() -> None:
    built = builder()
    built.apply(ticks((10, 100, 40, 0, 7), (20, 101, 0), (70, 101, 0), (130, 102, 60)))
    candles = built.close_until(at(180))
    assert [int(volume) for volume in candles["volume"]] == [40, 0, 20]
    assert [int(interest) for interest in candles["open_interest"]] == [7, 0, 0]


@pytest.mark.parametrize("instrument", [-1, 2, 2**31 - 1])
def test_an_unknown_instrument_is_refused_with_nothing_applied(instrument: int) -> None:
    built = builder(2)
    with pytest.raises(ValueError, match=f"tick 1: instrument {instrument} is not in 0 … 1"):
        built.apply(ticks((1, 100, 1), (2, 100, 1, instrument)))
    assert built.counters.accepted == 0
    assert len(built.close_until(at(60))) == 0


def test_read_only_and_strided_batches_are_taken() -> None:
    built = builder()
    batch = ticks((1, 100, 1), (2, 999, 1), (3, 101, 2), (4, 999, 2))
    built.apply(np.frombuffer(batch[:1].tobytes(), TICK))
    built.apply(batch[::2])
    (candle,) = built.close_until(at(60))
    assert (candle["high_paise"], candle["tick_count"]) == (101, 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 3000), max_size=8))
def test_whole_array_and_any_cut_into_live_batches_agree(seed: int, cuts: list[int]) -> None:
    day = day_of_ticks(seed)
    live = builder(3)
    emitted = []
    for part in np.split(day, sorted(cuts)):
        for tick in (part[row : row + 7] for row in range(0, len(part), 7)):
            emitted.append(live.close_until(int(tick["ts_event_ns"][0])))
            assert len(live.apply(tick)) == 0
    emitted.append(live.close_until(OPEN_NS + 40 * MINUTE_NS))
    assert np.array_equal(np.concatenate(emitted), build_candles(day, 3))


def test_one_second_bars() -> None:
    candles = build_candles(ticks((0.2, 100, 1), (0.9, 101, 2), (3.5, 99, 3)), 1, timeframe_seconds=1)
    assert [int(second) for second in candles["ts_open_ns"] - OPEN_NS] == [0, 3_000_000_000]
    assert np.all(candles["timeframe_seconds"] == 1)


def test_impossible_builders_are_refused() -> None:
    for instruments, timeframe_seconds in ((0, 60), (1, 0), (1, 7), (1, 120)):
        with pytest.raises(ValueError, match="builder needs"):
            CandleBuilder(instruments, start_ns=0, timeframe_seconds=timeframe_seconds)
    assert len(build_candles(np.empty(0, TICK), 1)) == 0
    assert build_candles(np.empty(0, TICK), 1).dtype == CANDLE
