"""Aggregation against an oracle that looks at one minute at a time and keeps everything."""

from collections import defaultdict
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.contracts.records import CANDLE, CANDLE_CORRECTED, Records
from tradebus.indicators.aggregate import AggregateCounters, Aggregator, aggregate_batch
from tradebus.kernel.time import ist_to_ns

MINUTE_NS = 60_000_000_000
DAY_NS = 1440 * MINUTE_NS
OPEN_NS = ist_to_ns(date(2024, 1, 9), time(9, 15))
CLOSE_NS = ist_to_ns(date(2024, 1, 9), time(15, 30))
FIGURES = ("open_paise", "high_paise", "low_paise", "close_paise", "volume", "open_interest", "tick_count")
Row = tuple[int, ...]


def minutes(*rows: tuple[int, int, int, int, int, int]) -> Records:
    """Rows of (minute of the session, open, high, low, close, volume)."""
    candles = np.zeros(len(rows), CANDLE)
    for candle, (minute, open_, high, low, close, volume) in zip(candles, rows, strict=True):
        candle["ts_open_ns"] = OPEN_NS + minute * MINUTE_NS
        candle["open_paise"], candle["high_paise"] = open_, high
        candle["low_paise"], candle["close_paise"], candle["volume"] = low, close, volume
    candles["ts_close_ns"] = candles["ts_open_ns"] + MINUTE_NS
    candles["timeframe_seconds"], candles["tick_count"] = 60, 4
    return candles


def random_minutes(seed: int, count: int, *, instruments: int = 1, holes: float = 0.0) -> Records:
    """`count` minutes from the session's open for each instrument, by time then instrument."""
    draw = np.random.default_rng(seed)
    candles = np.zeros(count * instruments, CANDLE)
    candles["ts_open_ns"] = OPEN_NS + np.repeat(np.arange(count), instruments) * MINUTE_NS
    candles["ts_close_ns"] = candles["ts_open_ns"] + MINUTE_NS
    candles["instrument"] = np.tile(np.arange(instruments), count)
    prices = np.sort(draw.integers(100, 999, (len(candles), 4)), axis=1)
    candles["low_paise"], candles["open_paise"], candles["close_paise"], candles["high_paise"] = prices.T
    candles["volume"] = draw.integers(0, 50, len(candles))
    candles["open_interest"] = draw.integers(0, 3, len(candles))
    candles["tick_count"], candles["timeframe_seconds"] = draw.integers(1, 9, len(candles)), 60
    return candles[draw.random(len(candles)) >= holes]


class Oracle:
    """The rules of `aggregate.py` for one minute after the other."""

    def __init__(self, timeframes: tuple[int, ...]) -> None:
        self.timeframes = timeframes
        self.clock_ns = 0
        self.session: dict[int, tuple[int, int]] = {}
        self.seen_to_ns: dict[int, int] = {}
        self.minutes: dict[int, dict[int, Row]] = defaultdict(dict)
        self.written: dict[tuple[int, int, int], Row] = {}
        self.outside = self.earlier = 0

    def windows(self, instrument: int, timeframe: int) -> list[tuple[int, int]]:
        open_ns, close_ns = self.session[instrument]
        starts = range(open_ns, close_ns, timeframe * 1_000_000_000)
        return [(start, min(start + timeframe * 1_000_000_000, close_ns)) for start in starts]

    def ended(self, instrument: int) -> set[tuple[int, int, int]]:
        now_ns = max(self.clock_ns, self.seen_to_ns[instrument])
        return {
            (timeframe, start, end)
            for timeframe in self.timeframes
            for start, end in self.windows(instrument, timeframe)
            if end <= now_ns
        }

    def emit(self, instrument: int, ended_before: set[tuple[int, int, int]]) -> list[Row]:
        emitted = []
        for timeframe, start, end in self.ended(instrument):
            own = [row for at, row in sorted(self.minutes[instrument].items()) if start <= at < end]
            if not own:
                continue
            opens, highs, lows, closes, volumes, interests, counts = zip(*own, strict=True)
            interest = [one for one in interests if one] or [0]
            figures = (opens[0], max(highs), min(lows), closes[-1], sum(volumes), interest[-1], sum(counts))
            key = (instrument, timeframe, start)
            if self.written.get(key) != figures:
                self.written[key] = figures
                flag = CANDLE_CORRECTED if (timeframe, start, end) in ended_before else 0
                emitted.append((end, instrument, timeframe, start, flag, *figures))
        return emitted

    def apply(self, batch: Records, open_ns: int, close_ns: int) -> list[Row]:
        last_word: dict[Row, Row] = {}
        for candle in batch:
            for row in self.apply_one(candle, open_ns, close_ns):
                before = last_word.get(row[:4])
                last_word[row[:4]] = row if before is None else (*row[:4], before[4], *row[5:])
        return sorted(last_word.values())

    def apply_one(self, candle: np.void, open_ns: int, close_ns: int) -> list[Row]:
        instrument, at = int(candle["instrument"]), int(candle["ts_open_ns"])
        emitted = []
        if open_ns < self.session.get(instrument, (0, 0))[0]:
            self.earlier += 1
            return []
        if not open_ns <= at < close_ns:
            self.outside += 1
            return []
        if self.session.get(instrument) != (open_ns, close_ns):
            if instrument in self.session:
                ended = self.ended(instrument)
                self.seen_to_ns[instrument] = open_ns
                emitted += self.emit(instrument, ended)
            self.session[instrument], self.seen_to_ns[instrument] = (open_ns, close_ns), 0
            self.minutes[instrument] = {}
        ended = self.ended(instrument)
        stored = self.minutes[instrument].get(at)
        row = tuple(int(candle[name]) for name in FIGURES)
        if stored is None or stored[:-1] != row[:-1]:
            self.minutes[instrument][at] = row
        self.seen_to_ns[instrument] = max(self.seen_to_ns[instrument], at + MINUTE_NS)
        return emitted + self.emit(instrument, ended)

    def close_until(self, now_ns: int) -> list[Row]:
        ended = {instrument: self.ended(instrument) for instrument in self.session}
        self.clock_ns = max(self.clock_ns, now_ns)
        return sorted(row for instrument in self.session for row in self.emit(instrument, ended[instrument]))


def as_rows(candles: Records) -> list[Row]:
    names = ("ts_close_ns", "instrument", "timeframe_seconds", "ts_open_ns", "flags", *FIGURES)
    return [tuple(int(candle[name]) for name in names) for candle in candles]


step = st.one_of(
    st.tuples(st.just("forward"), st.integers(1, 9), st.integers(0, 2**32)),
    st.tuples(st.just("anywhere"), st.integers(1, 5), st.integers(0, 2**32)),
    st.tuples(st.just("again"), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("clock"), st.integers(0, 12), st.integers(0, 60)),
    st.tuples(st.just("next day"), st.just(0), st.just(0)),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(step, max_size=14))
def test_any_course_of_minutes_corrections_and_clock_gives_what_the_oracle_gives(steps: list[Row]) -> None:
    timeframes = (180, 300, 900, 86_400)
    made, oracle = Aggregator(2, timeframes_seconds=timeframes, session_minutes=37), Oracle(timeframes)
    pool, at, day, last = random_minutes(1, 2000, instruments=2), 0, 0, random_minutes(1, 1)
    for kind, count, seed in steps:
        open_ns = OPEN_NS + day * DAY_NS
        close_ns = open_ns + 37 * MINUTE_NS
        if kind == "clock":
            at = max(at, count)
            now_ns = open_ns + at * MINUTE_NS + seed * 1_000_000_000
            assert as_rows(made.close_until(now_ns)) == oracle.close_until(now_ns)
            continue
        if kind == "next day":
            day, at = day + 1, 0
            continue
        if kind == "again":
            batch = last[:count]
        else:
            draw = np.random.default_rng(seed)
            batch = pool[draw.integers(0, len(pool), count)]
            places = at + np.arange(count) // 2 if kind == "forward" else draw.integers(-2, at + 3, count)
            batch["ts_open_ns"] = open_ns + places * MINUTE_NS
            batch["ts_close_ns"] = batch["ts_open_ns"] + MINUTE_NS
            at, last = int(max(at, places.max() + 1)), batch
        got = made.apply(batch, session_open_ns=open_ns, session_close_ns=close_ns)
        assert as_rows(got) == oracle.apply(batch, open_ns, close_ns)
    assert made.counters[1:] == (oracle.outside, oracle.earlier)


def test_the_last_minute_of_a_window_closes_it() -> None:
    made = Aggregator(1, timeframes_seconds=(180,))
    rows = minutes((0, 10, 12, 9, 11, 5), (1, 11, 15, 11, 14, 6), (2, 14, 14, 8, 9, 7))
    assert len(made.apply(rows[:2], session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)) == 0
    (candle,) = made.apply(rows[2:], session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert [int(candle[name]) for name in FIGURES[:5]] == [10, 15, 8, 9, 18]
    assert (candle["ts_open_ns"], candle["ts_close_ns"]) == (OPEN_NS, OPEN_NS + 3 * MINUTE_NS)
    assert (candle["timeframe_seconds"], candle["tick_count"], candle["flags"]) == (180, 12, 0)
    assert len(made.close_until(CLOSE_NS)) == 0


def test_the_clock_closes_a_window_whose_last_minute_had_no_tick() -> None:
    made = Aggregator(1, timeframes_seconds=(300,))
    made.apply(minutes((0, 10, 10, 10, 10, 1)), session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert len(made.close_until(OPEN_NS + 5 * MINUTE_NS - 1)) == 0
    assert len(made.close_until(OPEN_NS + 5 * MINUTE_NS)) == 1


def test_the_last_hour_of_a_session_closes_with_the_session() -> None:
    made = Aggregator(1, timeframes_seconds=(3600, 86_400))
    day = random_minutes(1, 375)
    hours = made.apply(day, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert [int(row["timeframe_seconds"]) for row in hours] == [3600] * 7 + [86_400]
    assert (hours[6]["ts_open_ns"], hours[6]["ts_close_ns"]) == (CLOSE_NS - 15 * MINUTE_NS, CLOSE_NS)
    assert (hours[7]["ts_open_ns"], hours[7]["ts_close_ns"]) == (OPEN_NS, CLOSE_NS)
    assert hours[7]["volume"] == day["volume"].sum() == hours[:7]["volume"].sum()


def test_windows_start_at_the_session_open_and_not_at_the_full_hour() -> None:
    halves = aggregate_batch(random_minutes(1, 375), 1800, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert set((halves["ts_open_ns"] - OPEN_NS) % (30 * MINUTE_NS)) == {0}
    assert len(halves) == 13


def test_a_corrected_minute_may_also_narrow_its_closed_candle() -> None:
    made = Aggregator(1, timeframes_seconds=(180,))
    rows = minutes((0, 10, 90, 9, 11, 5), (1, 11, 15, 11, 14, 6), (2, 14, 14, 8, 9, 7))
    made.apply(rows, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    rows["high_paise"][0], rows["flags"][0] = 12, CANDLE_CORRECTED
    (candle,) = made.apply(rows[:1], session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert (candle["high_paise"], candle["flags"]) == (15, CANDLE_CORRECTED)
    assert len(made.apply(rows, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)) == 0


def test_a_candle_of_the_next_day_closes_what_was_left_open() -> None:
    made = Aggregator(1, timeframes_seconds=(3600,))
    made.apply(minutes((362, 10, 12, 9, 11, 5)), session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    next_day = minutes((1440, 20, 20, 20, 20, 1))
    (left,) = made.apply(next_day, session_open_ns=OPEN_NS + DAY_NS, session_close_ns=CLOSE_NS + DAY_NS)
    assert (left["ts_close_ns"], left["close_paise"], left["flags"]) == (CLOSE_NS, 11, 0)
    made.apply(minutes((363, 1, 1, 1, 1, 1)), session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert made.counters == AggregateCounters(2, 0, 1)


def test_a_session_that_is_extended_while_it_runs_ends_at_its_new_close() -> None:
    made = Aggregator(1, timeframes_seconds=(3600,))
    made.apply(minutes((362, 10, 12, 9, 11, 5)), session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    extended_ns = CLOSE_NS + 60 * MINUTE_NS
    made.apply(minutes((366, 11, 11, 11, 11, 1)), session_open_ns=OPEN_NS, session_close_ns=extended_ns)
    assert len(made.close_until(CLOSE_NS)) == 0
    (hour,) = made.close_until(CLOSE_NS + 45 * MINUTE_NS)
    assert (hour["ts_close_ns"], hour["volume"]) == (OPEN_NS + 7 * 60 * MINUTE_NS, 6)


def test_minutes_outside_the_session_are_counted_and_left_out() -> None:
    made = Aggregator(1, timeframes_seconds=(180,))
    rows = minutes((-8, 99, 99, 99, 99, 1), (375, 99, 99, 99, 99, 1))
    assert len(made.apply(rows, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)) == 0
    assert made.counters.outside_session == 2


def test_each_row_may_have_its_own_session() -> None:
    day = random_minutes(3, 375, instruments=2)
    short_ns = OPEN_NS + 45 * MINUTE_NS
    closes = np.where(day["instrument"] == 1, short_ns, CLOSE_NS)
    made = aggregate_batch(day, 3600, session_open_ns=np.full(len(day), OPEN_NS), session_close_ns=closes)
    assert [int(one["ts_close_ns"]) for one in made if one["instrument"] == 1] == [short_ns]
    assert sum(made["instrument"] == 0) == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([180, 300, 900, 1800, 3600, 86_400]), st.integers(1, 375))
def test_live_and_batch_agree(seed: int, timeframe: int, count: int) -> None:
    day = random_minutes(seed, count, instruments=3, holes=0.3)
    live = Aggregator(3, timeframes_seconds=(timeframe,))
    emitted = []
    for minute in range(count):
        now = day[day["ts_open_ns"] == OPEN_NS + minute * MINUTE_NS]
        emitted.append(live.apply(now, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS))
        emitted.append(live.close_until(OPEN_NS + (minute + 1) * MINUTE_NS))
    until_ns = OPEN_NS + count * MINUTE_NS
    shuffled = day[np.random.default_rng(seed).permutation(len(day))]
    batch = aggregate_batch(shuffled, timeframe, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS, until_ns=until_ns)
    got = np.concatenate(emitted)
    assert np.array_equal(got[np.lexsort((got["instrument"], got["ts_close_ns"]))], batch)


def test_a_batch_leaves_out_the_candle_that_is_still_running() -> None:
    day = random_minutes(1, 375)
    until_ns = OPEN_NS + 62 * MINUTE_NS
    given_all = aggregate_batch(day, 3600, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS, until_ns=until_ns)
    given_past = aggregate_batch(day[:62], 3600, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert len(given_all) == 1
    assert np.array_equal(given_all, given_past)


def test_a_batch_keeps_sparse_instrument_numbers() -> None:
    day = random_minutes(1, 3, instruments=2)
    day["instrument"] = np.where(day["instrument"] == 0, 40_000, 7)
    made = aggregate_batch(day, 180, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    assert sorted(int(one) for one in made["instrument"]) == [7, 40_000]


def test_what_cannot_be_aggregated_is_refused_with_its_row_and_nothing_is_applied() -> None:
    made = Aggregator(1, timeframes_seconds=(180,), session_minutes=400)
    rows = minutes((0, 10, 12, 9, 11, 5), (1, 11, 15, 11, 14, 6))
    stranger, five, crooked = rows.copy(), rows.copy(), rows.copy()
    stranger["instrument"][1], five["timeframe_seconds"][1], crooked["ts_open_ns"][1] = 3, 300, OPEN_NS + 7
    for batch, problem in ((stranger, "instrument is unknown"), (five, "no 1-minute"), (crooked, "whole minute")):
        with pytest.raises(ValueError, match=f"candle 1 cannot be aggregated.*{problem}"):
            made.apply(batch, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)
    for close_ns in (OPEN_NS, OPEN_NS + 401 * MINUTE_NS, CLOSE_NS + 1):
        with pytest.raises(ValueError, match="candle 0 cannot be aggregated: its session"):
            made.apply(rows, session_open_ns=OPEN_NS, session_close_ns=close_ns)
    with pytest.raises(ValueError, match="one for the batch or one per candle"):
        made.apply(rows, session_open_ns=np.full(3, OPEN_NS), session_close_ns=CLOSE_NS)
    assert made.counters == AggregateCounters(0, 0, 0)


def test_impossible_aggregators_are_refused() -> None:
    for instruments, timeframes in ((0, (180,)), (1, ()), (1, (60,)), (1, (90,))):
        with pytest.raises(ValueError, match="aggregator needs"):
            Aggregator(instruments, timeframes_seconds=timeframes)


def test_nothing_in_gives_nothing_out() -> None:
    nothing = np.empty(0, CANDLE)
    made = Aggregator(1)
    assert len(made.apply(nothing, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)) == 0
    assert len(made.close_until(CLOSE_NS)) == 0
    assert len(aggregate_batch(nothing, 300, session_open_ns=OPEN_NS, session_close_ns=CLOSE_NS)) == 0
    late = random_minutes(1, 3)
    early_ns = OPEN_NS - 1
    assert len(aggregate_batch(late, 300, session_open_ns=0, session_close_ns=0, until_ns=early_ns)) == 0
