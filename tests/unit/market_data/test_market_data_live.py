"""Live ticks to candles: whatever way they arrive, the last word is what the whole day planned at once gives."""

from datetime import date, time
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from testkit.contracts import contract
from testkit.fake_broker import minute_candles, quotes

from services.market_data.candles.day import plan_day
from services.market_data.candles.live import LiveCandles
from services.market_data.feeds.live.ticks import quotes_at, ticks_at
from tradebus.calendar import session_for, session_of
from tradebus.contracts.records import CANDLE_CORRECTED, TICK, Records
from tradebus.kernel.time import ist_to_ns

SECOND = 1_000_000_000
DAY = date(2026, 11, 25)
OPEN = ist_to_ns(DAY, time(9, 15))
LISTED = {0: contract(), 2: contract("EQUITY", market_class="equity_fno")}
NOON = ist_to_ns(DAY, time(12))


def day_of_ticks(seed: int, minutes: int = 12) -> Records:
    walk = np.random.default_rng(seed)
    count = minutes * 20
    ticks = np.zeros(count, TICK)
    ticks["ts_event_ns"] = OPEN + np.sort(walk.integers(0, minutes * 60, count)) * SECOND
    ticks["price_paise"] = 10_000 + 5 * walk.integers(-50, 50, count).cumsum() // 5
    ticks["instrument"] = walk.choice([0, 2], count)
    ticks["volume_cumulative"] = 10 * np.arange(1, count + 1)
    return ticks


def last_words(candles: Records) -> dict[tuple[int, int, int], tuple]:
    fields = ["ts_close_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume", "tick_count"]
    return {
        (int(row["instrument"]), int(row["timeframe_seconds"]), int(row["ts_open_ns"])): tuple(
            int(row[name]) for name in fields
        )
        for row in candles
    }


@given(st.integers(0, 40), st.lists(st.integers(0, 240), max_size=12))
def test_however_a_day_arrives_its_candles_are_those_of_the_whole_day(seed: int, cuts: list[int]) -> None:
    ticks = day_of_ticks(seed)
    live = LiveCandles(LISTED, start_ns=OPEN)
    made = []
    bounds = [0, *sorted(cuts), len(ticks)]
    for start, end in pairwise(bounds):
        batch = ticks[start:end]
        until_ns = int(batch["ts_event_ns"].max()) - 20 * SECOND if len(batch) else OPEN
        made.append(live.turn(batch, until_ns=until_ns).candles)
    made.append(live.turn(ticks[:0], until_ns=live.close_ns).candles)
    sessions = {number: session_of(one, DAY) for number, one in LISTED.items()}
    plan = plan_day(ticks, sessions={number: each for number, each in sessions.items() if each is not None})
    assert last_words(np.concatenate(made)) == last_words(plan.candles)


def test_a_bar_closes_by_the_clock_without_a_next_tick() -> None:
    live = LiveCandles(LISTED, start_ns=OPEN)
    tick = day_of_ticks(1)[:1]
    tick["ts_event_ns"] = OPEN + SECOND
    assert len(live.turn(tick, until_ns=OPEN + 59 * SECOND).candles) == 0
    made = live.turn(tick[:0], until_ns=OPEN + 60 * SECOND)
    assert made.minutes["close_paise"].tolist() == tick["price_paise"].tolist()


def test_the_last_bars_of_a_session_close_at_its_end() -> None:
    close = session_for(DAY, "derivative").close_ns
    live = LiveCandles({0: contract()}, start_ns=close - 120 * SECOND)
    tick = day_of_ticks(1)[:1]
    tick["instrument"], tick["ts_event_ns"] = 0, close - SECOND
    live.turn(tick, until_ns=close - 61 * SECOND)
    made = live.turn(tick[:0], until_ns=close)
    assert set(made.candles["timeframe_seconds"].tolist()) == {60, 180, 300, 900, 1800, 3600, 86400}
    assert (made.candles["ts_close_ns"] == close).all()


def test_a_tick_outside_its_session_makes_nothing() -> None:
    live = LiveCandles(LISTED, start_ns=OPEN - 600 * SECOND)
    ticks = day_of_ticks(1)[:3]
    ticks["ts_event_ns"] = [OPEN - SECOND, OPEN, ist_to_ns(DAY, time(15, 20))]
    ticks["instrument"] = [0, 2, 2]  # before the open; inside; a stock after continuous trading
    assert live.turn(ticks, until_ns=OPEN).ticks["ts_event_ns"].tolist() == [OPEN]


def test_an_unknown_instrument_is_left_out() -> None:
    live = LiveCandles(LISTED, start_ns=OPEN)
    ticks = day_of_ticks(1)[:3]
    ticks["instrument"] = [1, 99, -1]
    assert len(live.turn(ticks, until_ns=OPEN).ticks) == 0


def test_a_feed_taken_up_at_noon_goes_on_with_the_history() -> None:
    history = minute_candles(OPEN, [10_000 + number for number in range(165)])
    live = LiveCandles({0: contract()}, start_ns=NOON)
    live.seed(history, from_open=True)
    tick = day_of_ticks(1)[:1]
    tick["instrument"], tick["ts_event_ns"], tick["price_paise"] = 0, NOON + SECOND, 20_000
    live.turn(tick, until_ns=NOON)
    made = live.turn(tick[:0], until_ns=NOON + 15 * 60 * SECOND).candles
    hour = made[made["timeframe_seconds"] == 3600]  # 11:15 to 12:15, opened by the history
    assert (hour["open_paise"].tolist(), hour["close_paise"].tolist()) == ([10_120], [20_000])
    quarter = made[made["timeframe_seconds"] == 900]
    assert quarter["open_paise"].tolist() == [20_000]
    assert not (made["flags"] & CANDLE_CORRECTED).any()


@given(st.lists(st.tuples(st.integers(-600, 600), st.booleans(), st.booleans()), max_size=30))
def test_event_times_are_the_exchanges_where_it_gave_one_that_can_be(rows: list[tuple[int, bool, bool]]) -> None:
    batches = [quotes(number, [NOON + at * SECOND], [100], timed=timed) for number, (at, timed, _) in enumerate(rows)]
    for batch, (_, _, priced) in zip(batches, rows, strict=True):
        if not priced:
            batch["fields"] &= ~np.uint32(1)
    given = np.concatenate(batches) if batches else quotes(0, [], [])
    ticks = ticks_at(given, now_ns=NOON, ahead_ns=2 * SECOND)
    assert ticks["instrument"].tolist() == [number for number, row in enumerate(rows) if row[2]]
    assert (ticks["ts_event_ns"] <= NOON + 2 * SECOND).all()
    for tick in ticks:
        at, timed, _ = rows[tick["instrument"]]
        assert tick["ts_event_ns"] == (NOON + at * SECOND if timed and at <= 2 else NOON)


def minute_by_minute(live: LiveCandles, ticks: Records, *, until_ns: int) -> list[Records]:
    made = []
    for minute in np.unique(ticks["ts_event_ns"] // (60 * SECOND)).tolist():
        made.append(live.turn(ticks[ticks["ts_event_ns"] // (60 * SECOND) == minute], until_ns=minute * 60 * SECOND))
    made.append(live.turn(ticks[:0], until_ns=until_ns))
    return [one.candles for one in made]


@given(st.integers(0, 40), st.integers(1, 11), st.integers(0, 10), st.data())
def test_what_history_puts_right_is_the_last_word_and_longer_candles_follow(
    seed: int, lost_minutes: int, first: int, data: st.DataObject
) -> None:
    """A day of which some minutes were not heard, then read from history, is the whole day in the end."""
    ticks = day_of_ticks(seed, minutes=24)
    last = min(first + lost_minutes, 23)
    minute = (ticks["ts_event_ns"] - OPEN) // (60 * SECOND)
    heard = ticks[(minute < first) | (minute >= last)]
    sessions = {number: session_of(one, DAY) for number, one in LISTED.items()}
    whole = plan_day(ticks, sessions={number: each for number, each in sessions.items() if each is not None}).candles
    live = LiveCandles(LISTED, start_ns=OPEN)
    at_ns = OPEN + data.draw(st.integers(last + 1, 24)) * 60 * SECOND
    made = minute_by_minute(live, heard[heard["ts_event_ns"] < at_ns], until_ns=at_ns)
    minutes = whole[(whole["timeframe_seconds"] == 60) & (whole["ts_open_ns"] < OPEN + (last + 1) * 60 * SECOND)]
    minutes = minutes[minutes["ts_open_ns"] >= OPEN + first * 60 * SECOND]
    corrected = live.restore(minutes, changed=np.ones(len(minutes), np.bool_))
    assert (corrected["flags"] == CANDLE_CORRECTED).all()
    made.append(corrected)
    made += minute_by_minute(live, heard[heard["ts_event_ns"] >= at_ns], until_ns=live.close_ns)
    words = last_words(np.concatenate(made))
    right = last_words(whole)
    assert words.keys() == right.keys()
    prices = slice(1, 5)  # what was never heard has no count of ticks, and a volume carried over may be split otherwise
    assert {name: word[prices] for name, word in words.items()} == {name: word[prices] for name, word in right.items()}


def test_a_late_tick_does_not_undo_what_history_put_right() -> None:
    live = LiveCandles({0: contract()}, start_ns=OPEN)
    tick = day_of_ticks(1)[:1]
    tick["instrument"], tick["ts_event_ns"], tick["price_paise"] = 0, OPEN + SECOND, 10_000
    live.turn(tick, until_ns=OPEN)
    live.turn(tick[:0], until_ns=OPEN + 60 * SECOND)
    history = minute_candles(OPEN, [10_500])
    assert live.restore(history, changed=np.ones(1, np.bool_))["close_paise"].tolist() == [10_500]
    late = tick.copy()
    late["ts_event_ns"], late["price_paise"] = OPEN + 50 * SECOND, 9_000
    assert len(live.turn(late, until_ns=OPEN + 70 * SECOND).candles) == 0


def test_what_the_book_had_like_that_corrects_nothing() -> None:
    live = LiveCandles({0: contract()}, start_ns=OPEN + 180 * SECOND)
    history = minute_candles(OPEN, [100, 101, 102])
    live.seed(history, from_open=False)
    assert len(live.restore(history, changed=np.zeros(3, np.bool_))) == 0


def test_quotes_in_full_are_those_that_were_asked_for_with_times_that_can_be() -> None:
    rows = np.concatenate([quotes(0, [NOON], [100]), quotes(1, [NOON], [100]), quotes(0, [NOON + 9 * SECOND], [101])])
    untimed = quotes(0, [1], [102], timed=False)
    given = np.concatenate([rows, untimed, quotes(9, [NOON], [100])])
    chosen = np.asarray([True, False])
    found = quotes_at(given, chosen, now_ns=NOON + SECOND, ahead_ns=2 * SECOND)
    assert found["price_paise"].tolist() == [100, 101, 102]
    assert found["ts_event_ns"].tolist() == [NOON, NOON + SECOND, NOON + SECOND]
    assert given["ts_event_ns"].tolist()[2] == NOON + 9 * SECOND


def test_an_expiring_index_contract_closes_its_last_candles_before_its_segment() -> None:
    """8 December 2026: the weekly of the day stops at 15:30, the next one trades on to 15:45."""
    day = date(2026, 12, 8)
    weeklies = {
        number: contract("OPTION", underlying="NIFTY", expiry=expiry)
        for number, expiry in enumerate((day, date(2026, 12, 15)))
    }
    live = LiveCandles(weeklies, start_ns=ist_to_ns(day, time(15, 20)))
    assert live.closes_ns.tolist() == [ist_to_ns(day, time(15, 30)), ist_to_ns(day, time(15, 45))]
