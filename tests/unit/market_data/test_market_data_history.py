"""Which bars of a file a run takes: its window, trading hours, and a warm-up before it."""

from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.feeds import write_bars, write_ticks

from services.market_data.candles.day import plan_day
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.calendar import session_of
from tradebus.contracts.records import Records
from tradebus.history.hours import date_of_day, day_numbers, sessions_of
from tradebus.history.loading import load_history
from tradebus.history.validate import check_history
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_date, ist_to_ns
from tradebus.symbols.descriptions import describe

TUESDAY, MONDAY = date(2024, 1, 2), date(2024, 1, 1)
REPUBLIC_DAY = date(2024, 1, 26)
BANKNIFTY = Path(__file__).parents[4] / "shared/data/index_1min/BANKNIFTY_1min_2012-2024.parquet"
TICKS = Path(__file__).parents[4] / "shared/data/index_ticks/NIFTY50_spot_1s_2022-08_2022-10.parquet"


def test_bars_outside_continuous_trading_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (TUESDAY, time(9, 7), 2), (TUESDAY, time(9, 14), 378))
    summary = check_history(path, "NIFTY", TUESDAY, TUESDAY)
    assert (summary.bars, summary.days, summary.dropped_outside_session) == (375, 1, 5)
    assert summary.first == "2024-01-02T09:15:00+05:30"
    assert summary.last == "2024-01-02T15:29:00+05:30"


def test_bars_of_a_closed_day_are_dropped(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (MONDAY, time(9, 15), 10), (REPUBLIC_DAY, time(9, 15), 10))
    summary = check_history(path, "NIFTY", None, None)
    assert (summary.bars, summary.days, summary.dropped_outside_session) == (10, 1, 10)


def test_break_of_a_two_window_session_is_dropped(tmp_path: Path) -> None:
    drill = date(2024, 3, 2)
    path = write_bars(tmp_path / "b.parquet", (drill, time(9, 15), 200))
    assert check_history(path, "NIFTY", None, None).bars == 45 + 60


def test_days_before_the_holiday_list_count_as_standard_days(tmp_path: Path) -> None:
    old = date(2011, 3, 1)
    path = write_bars(tmp_path / "b.parquet", (old, time(9, 0), 400))
    assert check_history(path, "NIFTY", None, None).bars == 375


def test_file_with_nothing_in_session_is_refused(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (TUESDAY, time(16, 0), 10))
    with pytest.raises(InvalidInput, match="none of the 10 rows lies in a trading session"):
        check_history(path, "NIFTY", None, None)


def test_empty_range_names_what_the_file_has(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (TUESDAY, time(9, 15), 10))
    with pytest.raises(InvalidInput, match=r"no row of NIFTY from 2024-02-01 to 2024-02-02.*2024-01-02 to 2024-01-02"):
        check_history(path, "NIFTY", date(2024, 2, 1), date(2024, 2, 2))


def with_strays(path: Path, *texts: str) -> Path:
    """A day's bars, and after the third one row for each time that is none of a market's."""
    bars = pq.read_table(write_bars(path.with_suffix(".bars"), (TUESDAY, time(9, 15), 375)))
    times = pa.array([datetime.fromisoformat(text) for text in texts], bars.schema.field("ts").type)
    strays = bars.slice(0, 1).take(pa.array([0] * len(texts), pa.int64())).set_column(0, "ts", times)
    table = pa.concat_tables([bars.slice(0, 3), strays, bars.slice(3)])
    if path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        pq.write_table(table, path, row_group_size=100)
    return path


@pytest.mark.parametrize("name", ["b.csv", "b.parquet"])
@pytest.mark.parametrize("chosen", [None, TUESDAY])
def test_rows_at_no_time_of_a_market_are_counted_and_said(tmp_path: Path, name: str, chosen: date | None) -> None:
    path = with_strays(tmp_path / name, "1970-01-20 17:52:20", "2201-06-01 09:15:00")
    summary = check_history(path, "NIFTY", chosen, chosen)
    assert (summary.bars, summary.strays, summary.first_stray) == (375, 2, 4)
    assert str(summary).endswith(
        "; 2 rows with a ts outside 1990 to 2200 left out (the first: row 4): mend them, or remove them"
    )
    assert "outside 1990" not in str(check_history(with_strays(tmp_path / name), "NIFTY", chosen, chosen))


def test_a_day_before_all_markets_takes_no_such_row_in(tmp_path: Path) -> None:
    path = with_strays(tmp_path / "b.csv", "1970-01-20 17:52:20")
    summary = check_history(path, "NIFTY", date(1960, 1, 1), date(2300, 1, 1))
    assert (summary.bars, summary.strays) == (375, 1)


def test_a_row_group_without_a_time_of_a_market_is_counted_whatever_its_statistics_say(tmp_path: Path) -> None:
    path = with_strays(tmp_path / "b.parquet", *["1970-01-20 17:52:20"] * 300)
    summary = check_history(path, "NIFTY", TUESDAY, TUESDAY)
    assert (summary.bars, summary.strays, summary.first_stray) == (375, 300, 4)


def test_a_file_with_no_time_of_a_market_is_refused_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_text("ts,symbol,open,high,low,close,volume\n1970-01-20 17:52:20,NIFTY,1,1,1,1,1\n")
    with pytest.raises(InvalidInput, match="row 1: its ts lies outside 1990 to 2200"):
        check_history(path, "NIFTY", None, None)


def test_range_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (TUESDAY, time(9, 15), 10))
    with pytest.raises(InvalidInput, match="--to 2024-01-01 is before --from 2024-01-02"):
        check_history(path, "NIFTY", TUESDAY, MONDAY)


def test_window_ends_with_the_last_minute_of_its_last_day(tmp_path: Path) -> None:
    path = write_bars(
        tmp_path / "b.parquet", (MONDAY, time(9, 15), 375), (TUESDAY, time(9, 15), 375),
        (date(2024, 1, 3), time(9, 15), 375),
    )  # fmt: skip
    assert check_history(path, "NIFTY", MONDAY, TUESDAY).bars == 750


def test_warmup_is_the_newest_bars_before_the_window(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (MONDAY, time(9, 15), 375), (TUESDAY, time(9, 15), 375))
    history = load_history(path, symbols=["NIFTY"], from_date=TUESDAY, to_date=None, warmup_minutes=30)
    assert len(history.warmup) == 30
    assert history.warmup.ts_ns[-1] == ist_to_ns(MONDAY, time(15, 29))
    assert len(load_history(path, symbols=["NIFTY"], from_date=TUESDAY, to_date=None).warmup) == 0


def test_warmup_leaves_out_what_is_months_old(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "b.parquet", (date(2023, 2, 1), time(9, 15), 100), (TUESDAY, time(9, 15), 10))
    history = load_history(path, symbols=["NIFTY"], from_date=TUESDAY, to_date=None, warmup_minutes=30)
    assert len(history.warmup) == 0


def test_warmup_begins_after_the_last_unsound_row_before_the_window(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    rows = [f"2024-01-01 09:{minute}:00,100,101,99,100" for minute in range(15, 25)]
    rows[6] = "2024-01-01 09:21:00,100,90,99,100"
    rows.append("2024-01-02 09:15:00,100,101,99,100")
    path.write_text("\n".join(["ts,open,high,low,close", *rows]))
    history = load_history(path, symbols=["NIFTY"], from_date=TUESDAY, to_date=None, warmup_minutes=30)
    assert history.warmup.row.tolist() == [8, 9, 10]
    assert history.warmup_dropped == 7
    with pytest.raises(InvalidInput, match="row 7"):
        load_history(path, symbols=["NIFTY"], from_date=MONDAY, to_date=None, warmup_minutes=30)


def feed_of(path: Path, *, seed: int = 1, ticks_per_minute: int = 6) -> HistoryFeed:
    history = load_history(path, symbols=["NIFTY"], from_date=None, to_date=None)
    return HistoryFeed(history, ticks_per_minute=ticks_per_minute, seed=seed)


def test_identity_changes_with_content_window_and_seed_only(tmp_path: Path) -> None:
    one = write_bars(tmp_path / "a.parquet", (TUESDAY, time(9, 15), 20))
    same = write_bars(tmp_path / "b.parquet", (TUESDAY, time(9, 15), 20))
    other = write_bars(tmp_path / "c.parquet", (TUESDAY, time(9, 15), 20), seed=9)
    shorter = write_bars(tmp_path / "d.parquet", (TUESDAY, time(9, 15), 19))
    identities = [
        feed_of(one).identity, feed_of(other).identity, feed_of(shorter).identity, feed_of(one, seed=2).identity,
        feed_of(one, ticks_per_minute=7).identity,
    ]  # fmt: skip
    assert len(set(identities)) == len(identities)
    assert feed_of(same).identity == feed_of(one).identity


def test_days_without_a_bar_are_no_days_of_the_feed(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "a.parquet", (MONDAY, time(9, 15), 20), (date(2024, 1, 4), time(9, 15), 30))
    feed = feed_of(path)
    assert [(day.day, day.bars) for day in feed.days] == [(MONDAY, 20), (date(2024, 1, 4), 30)]
    session = session_of(describe("NIFTY"), MONDAY)
    assert session is not None
    assert (feed.days[0].open_ns, feed.days[0].close_ns) == (session.open_ns, session.close_ns)


def test_each_days_volume_is_counted_from_its_own_start(tmp_path: Path) -> None:
    path = write_bars(tmp_path / "a.parquet", (MONDAY, time(9, 15), 20), (TUESDAY, time(9, 15), 20))
    feed = feed_of(path)
    volumes = load_history(path, symbols=["NIFTY"], from_date=None, to_date=None).columns.values["volume"]
    for number, day in enumerate(feed.days):
        cumulative = feed.ticks(day, {"NIFTY": 0})["volume_cumulative"]
        assert (np.diff(cumulative) >= 0).all()
        assert cumulative[-1] == volumes[20 * number : 20 * (number + 1)].sum()


def test_tick_file_is_played_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "ts,price,volume\n2024-01-02 09:14:59,99,5\n2024-01-02 09:15:00.5,100.05,7\n2024-01-02 09:15:00.5,100.1,0\n"
        "2024-01-02 09:17:01,100,2\n2024-01-02 15:30:00,99,1\n"
    )
    feed = feed_of(path)
    ticks = feed.ticks(feed.days[0], {"NIFTY": 4})
    assert ticks["price_paise"].tolist() == [10_005, 10_010, 10_000]
    assert ticks["volume_cumulative"].tolist() == [7, 7, 9]
    assert ticks["instrument"].tolist() == [4, 4, 4]
    assert feed.days[0].bars == 2


def bars_by_hand(ticks: Records) -> list[tuple[int, int, int, int, int, int]]:
    """Minute, open, high, low, close and volume of ticks in event order."""
    minutes = ticks["ts_event_ns"] // 60_000_000_000
    found = []
    for minute in np.unique(minutes):
        own = ticks[minutes == minute]
        prices = own["price_paise"]
        found.append((
            int(minute), int(prices[0]), int(prices.max()), int(prices.min()), int(prices[-1]),
            int(own["last_quantity"].sum()),
        ))  # fmt: skip
    return found


def as_bars(candles: Records) -> list[tuple[int, int, int, int, int, int]]:
    names = ("open_paise", "high_paise", "low_paise", "close_paise", "volume")
    return [(int(row["ts_open_ns"]) // 60_000_000_000, *(int(row[name]) for name in names)) for row in candles]


@given(st.integers(0, 1_000))
def test_tick_file_makes_the_bars_of_its_minutes(tmp_path_factory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("ticks")
    path = write_ticks(folder / "t.parquet", (MONDAY, time(9, 15), 40), (TUESDAY, time(15, 20), 200), seed=seed)
    feed = feed_of(path)
    for day in feed.days:
        ticks = feed.ticks(day, {"NIFTY": 0})
        session = session_of(describe("NIFTY"), day.day)
        assert session is not None
        made = plan_day(ticks, sessions={0: session}).minutes
        assert as_bars(made) == bars_by_hand(ticks)
        assert len(made) == day.bars


def test_ticks_before_the_window_warm_up_as_the_bars_they_make(tmp_path: Path) -> None:
    path = write_ticks(
        tmp_path / "t.parquet", (date(2023, 12, 29), time(15, 0), 90), (MONDAY, time(9, 15), 90),
        (TUESDAY, time(9, 15), 60),
    )  # fmt: skip
    whole = feed_of(path)
    before = [row for day in whole.days[:2] for row in bars_by_hand(whole.ticks(day, {"NIFTY": 0}))]
    for count in (3, len(before) - 1, 1_000):
        history = load_history(path, symbols=["NIFTY"], from_date=TUESDAY, to_date=None, warmup_minutes=count)
        warmup = HistoryFeed(history, ticks_per_minute=6, seed=1).warmup({"NIFTY": 3})
        assert as_bars(warmup) == before[-count:]
        assert set(warmup["instrument"].tolist()) == {3}
    nothing_before = load_history(path, symbols=["NIFTY"], from_date=None, to_date=None, warmup_minutes=10)
    assert len(HistoryFeed(nothing_before, ticks_per_minute=6, seed=1).warmup({"NIFTY": 3})) == 0


def test_what_a_file_holds_is_said_as_it_is(tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "b.parquet", (TUESDAY, time(9, 14), 378))
    assert str(check_history(bars, "NIFTY", None, None)) == (
        "375 bars on 1 day, 2024-01-02 to 2024-01-02; 3 rows outside trading sessions left out"
    )
    ticks = tmp_path / "t.csv"
    ticks.write_text(
        "ts,price\n2024-01-01 09:15:01,99\n2024-01-01 09:15:31,100\n2024-01-02 09:15:01,100\n2024-01-02 16:00,1"
    )
    assert str(check_history(ticks, "NIFTY", None, None)) == (
        "3 ticks in 2 minutes on 2 days, 2024-01-01 to 2024-01-02; 1 row outside trading sessions left out; "
        "2 days that break off before the square-off: what is open then is closed at the last price"
    )


@given(
    st.dates(date(2012, 1, 1), date(2026, 12, 31)),
    st.integers(0, 24 * 60 - 1),
    st.sampled_from(["BANKNIFTY", "RELIANCE", "NIFTY_F1", "NIFTY26DECFUT", "NIFTY26D0826000CE"]),
)
def test_bar_is_inside_exactly_if_its_session_holds_all_of_its_minute(day: date, minute: int, symbol: str) -> None:
    ts_ns = ist_to_ns(day, time(minute // 60, minute % 60))
    session = session_of(describe(symbol), day)
    expected = session is not None and any(a <= ts_ns and ts_ns + 60 * 10**9 <= b for a, b in session.windows)
    numbers = day_numbers(np.asarray([ts_ns]))
    sessions = sessions_of(numbers.tolist(), describe(symbol))
    assert sessions.contains(np.asarray([ts_ns]), length_ns=60 * 10**9).tolist() == [expected]
    assert date_of_day(int(numbers[0])) == day == ist_date(ts_ns)


@pytest.mark.shared_data
@pytest.mark.skipif(not BANKNIFTY.exists(), reason="real market data does not lie beside the checkout")
def test_month_of_real_bars_is_sound_and_whole_days_long() -> None:
    summary = check_history(BANKNIFTY, "BANKNIFTY", date(2024, 1, 1), date(2024, 1, 31))
    assert (summary.bars, summary.days) == (22 * 375, 22)
    assert summary.dropped_outside_session > 0


@pytest.mark.shared_data
@pytest.mark.skipif(not TICKS.exists(), reason="real market data does not lie beside the checkout")
def test_real_ticks_make_the_bars_of_their_minutes() -> None:
    history = load_history(TICKS, symbols=["NIFTY 50"], from_date=date(2022, 8, 12), to_date=date(2022, 8, 12))
    feed = HistoryFeed(history, ticks_per_minute=30, seed=1)
    assert feed.days[0].bars == 375
    assert len(feed.ticks(feed.days[0], {"NIFTY": 0})) > 20_000
