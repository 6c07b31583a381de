"""A real index tape of one-second ticks against the published minutes of the same days."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tradebus.contracts.records import TICK, Records
from tradebus.indicators.aggregate import aggregate_batch
from tradebus.indicators.candles import CandleBuilder, build_candles
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, ist_date

pytestmark = pytest.mark.shared_data

DATA = Path(__file__).parents[4] / "shared" / "data"
TAPE = DATA / "index_ticks" / "NIFTY50_spot_1s_2022-08_2022-10.parquet"
MINUTES = DATA / "index_1min" / "NIFTY_1min_2022-08_2022-10.parquet"
OPEN_OF_DAY_NS, SESSION_NS = (9 * 60 + 15) * 60_000_000_000, 375 * 60_000_000_000
# Days whose tape carries a clock that is 100 s late.
LATE_CLOCK = {"2022-08-29", "2022-09-29", "2022-10-07", "2022-10-10", "2022-10-13"}

PRICES = ("open_paise", "high_paise", "low_paise", "close_paise")


def instants(column: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Naive Indian times as nanoseconds since the epoch."""
    return column.astype("datetime64[ns]").astype(np.int64) - IST_OFFSET_NS


def days(ts_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (ts_ns + IST_OFFSET_NS) // NANOSECONDS_PER_DAY


@pytest.fixture(scope="module")
def tape() -> Records:
    if not TAPE.exists() or not MINUTES.exists():
        pytest.skip(f"no real ticks at {DATA}")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(TAPE)
    ticks = np.zeros(table.num_rows, TICK)
    ticks["ts_event_ns"] = instants(table["ts"].to_numpy())
    ticks["price_paise"] = np.rint(table["price"].to_numpy() * 100)
    return ticks[np.argsort(ticks["ts_event_ns"], kind="stable")]


@pytest.fixture(scope="module")
def published(tape: Records) -> dict[int, int]:
    """Close in paise by the minute's start."""
    table = pytest.importorskip("pyarrow.parquet").read_table(MINUTES)
    closes = np.rint(table["close"].to_numpy() * 100).astype(np.int64)
    return dict(zip(instants(table["ts"].to_numpy()).tolist(), closes.tolist(), strict=True))


def by_day(candles: Records) -> Iterator[tuple[str, Records]]:
    for day in np.unique(days(candles["ts_open_ns"])):
        own = candles[days(candles["ts_open_ns"]) == day]
        open_ns = int(day) * NANOSECONDS_PER_DAY - IST_OFFSET_NS + OPEN_OF_DAY_NS
        inside = (own["ts_open_ns"] >= open_ns) & (own["ts_open_ns"] < open_ns + SESSION_NS)
        yield str(ist_date(open_ns)), own[inside]


def test_the_last_tick_of_each_minute_is_the_published_close(tape: Records, published: dict[int, int]) -> None:
    agreement = {}
    for day, candles in by_day(build_candles(tape, 1)):
        pairs = [(int(one["close_paise"]), published.get(int(one["ts_open_ns"]))) for one in candles]
        known = [close == other for close, other in pairs if other is not None]
        if day not in LATE_CLOCK and known:
            agreement[day] = sum(known) / len(known)
    assert len(agreement) > 15
    assert min(agreement.values()) >= 0.98
    assert np.mean([share == 1 for share in agreement.values()]) >= 0.8


def test_delayed_arrivals_end_in_the_candles_of_the_ordered_tape(tape: Records) -> None:
    own = tape[days(tape["ts_event_ns"]) == days(tape["ts_event_ns"])[0]]
    # The tape's ticks are a second apart: distinct instants, so that arrival order breaks no tie.
    own = own[np.concatenate(([True], np.diff(own["ts_event_ns"]) > 0))]
    delay_ns = np.random.default_rng(1).integers(0, 90_000_000_000, len(own))
    arrival_ns = own["ts_event_ns"] + delay_ns
    order = np.argsort(arrival_ns, kind="stable")
    arrival_ns, arrived = arrival_ns[order], own[order]
    builder = CandleBuilder(1, start_ns=int(own["ts_event_ns"][0]))
    last_word: dict[int, tuple[int, ...]] = {}
    corrections = 0
    for start in range(0, len(arrived), 50):
        closed = builder.close_until(int(arrival_ns[start]))
        corrected = builder.apply(arrived[start : start + 50])
        corrections += len(corrected)
        for candle in (*closed, *corrected):
            last_word[int(candle["ts_open_ns"])] = tuple(int(candle[name]) for name in PRICES)
    for candle in builder.close_until(int(arrival_ns[-1]) + 60_000_000_000):
        last_word[int(candle["ts_open_ns"])] = tuple(int(candle[name]) for name in PRICES)
    expected = {
        int(candle["ts_open_ns"]): tuple(int(candle[name]) for name in PRICES) for candle in build_candles(own, 1)
    }
    assert corrections > 100
    assert last_word == expected


def test_hours_of_real_days_close_with_their_last_minute(tape: Records) -> None:
    for _, candles in by_day(build_candles(tape, 1)):
        open_ns = int(candles["ts_open_ns"][0]) // NANOSECONDS_PER_DAY * NANOSECONDS_PER_DAY
        open_ns += OPEN_OF_DAY_NS - IST_OFFSET_NS
        close_ns = open_ns + SESSION_NS
        hours = aggregate_batch(candles, 3600, session_open_ns=open_ns, session_close_ns=close_ns, until_ns=close_ns)
        for hour in hours:
            inside = candles["ts_open_ns"] >= hour["ts_open_ns"]
            own = candles[inside & (candles["ts_open_ns"] < hour["ts_close_ns"])]
            assert hour["close_paise"] == own["close_paise"][-1]
            assert (hour["high_paise"], hour["low_paise"]) == (own["high_paise"].max(), own["low_paise"].min())
        assert hours["close_paise"][-1] == candles["close_paise"][-1]
