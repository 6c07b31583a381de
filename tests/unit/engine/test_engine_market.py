"""A history as the engine runs it is the history that the feed of the six processes publishes."""

from datetime import date, time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.engine import market_of
from testkit.feeds import write_ticks
from testkit.histories import write_history

from services.market_data.candles.day import plan_day
from services.market_data.feeds.recorded.history_feed import HistoryFeed
from tradebus.calendar import session_for
from tradebus.contracts.records import TIMEFRAMES_SECONDS
from tradebus.history.loading import load_history

DAYS = (date(2024, 1, 1), date(2024, 1, 2))
FIELDS = ["ts_open_ns", "ts_close_ns", "open_paise", "high_paise", "low_paise", "close_paise", "volume", "instrument",
          "timeframe_seconds"]  # fmt: skip


@pytest.fixture(scope="module", params=["bars", "ticks"])
def path(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("history")
    if request.param == "ticks":
        return write_ticks(folder / "ticks.parquet", *((day, time(9, 15), 900) for day in DAYS))
    return write_history(folder / "bars.csv", ("NIFTY", "RELIANCE"), DAYS, seed=3)


SYMBOLS = {".parquet": ("NIFTY",), ".csv": ()}  # a file without a column of symbols is about one


def published(path: Path):
    """The days' plans as market_data makes them."""
    history = load_history(path, symbols=SYMBOLS[path.suffix], from_date=None, to_date=None)
    feed = HistoryFeed(history, ticks_per_minute=30, seed=1)
    numbers = {name: number for number, name in enumerate(history.columns.names)}
    for day in feed.days:
        sessions = {number: session_for(day.day, one.market_class) for number, one in enumerate(feed.instruments)}
        yield day, plan_day(feed.ticks(day, numbers), sessions={k: v for k, v in sessions.items() if v is not None})


def test_days_have_the_candles_and_ticks_of_the_feed(path: Path) -> None:
    market, master = market_of(path, symbols=SYMBOLS[path.suffix])
    days = list(market.days(TIMEFRAMES_SECONDS))
    plans = list(published(path))
    assert [day.day for day in days] == [feed_day.day for feed_day, _ in plans]
    for day, (feed_day, plan) in zip(days, plans, strict=True):
        assert (day.open_ns, day.close_ns, day.bars) == (feed_day.open_ns, feed_day.close_ns, len(plan.minutes))
        assert day.candles[FIELDS].tolist() == plan.candles[FIELDS].tolist()
        for instrument in master:
            own = plan.ticks[plan.ticks["instrument"] == instrument.instrument_id]
            assert day.ticks_of(instrument.instrument_id, from_ns=0).tolist() == own.tolist()


@given(minute=st.integers(0, 374), offset_ns=st.integers(0, 59_999_999_999))
@settings(max_examples=40, deadline=None)
def test_ticks_from_an_instant_on_are_the_days_ticks_from_then(bars_of_a_day, minute: int, offset_ns: int) -> None:
    day, whole = bars_of_a_day
    from_ns = day.open_ns + minute * 60_000_000_000 + offset_ns
    assert day.ticks_of(0, from_ns=from_ns).tolist() == whole[whole["ts_event_ns"] >= from_ns].tolist()


@pytest.fixture(scope="module")
def bars_of_a_day(tmp_path_factory):
    path = write_history(tmp_path_factory.mktemp("one") / "bars.csv", ("NIFTY",), DAYS[:1], seed=8)
    market, _ = market_of(path, symbols=SYMBOLS[path.suffix])
    (day,) = market.days([60])
    return day, day.ticks_of(0, from_ns=0)


def test_minutes_hold_every_bar_of_the_file_once(path: Path) -> None:
    market, master = market_of(path, symbols=SYMBOLS[path.suffix])
    for instrument in master:
        opens = market.minutes[instrument.instrument_id]["ts_open_ns"]
        assert len(np.unique(opens)) == len(opens)
        assert (np.diff(opens) > 0).all()
