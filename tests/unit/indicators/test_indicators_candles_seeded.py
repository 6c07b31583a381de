"""A candle builder seeded after a restart goes on as if it had never stopped."""

import numpy as np
import pytest
from testkit.candle_ticks import MINUTE_NS, OPEN_NS, at, day_of_ticks, ohlcv, ticks

from tradebus.indicators.candles import CandleBuilder, build_candles


@pytest.mark.parametrize("from_open", [True, False])
def test_a_builder_seeded_after_a_restart_goes_on_as_if_it_had_never_stopped(from_open: bool) -> None:
    day = day_of_ticks(1)
    whole = build_candles(day, 3)
    restart_ns = OPEN_NS + 20 * MINUTE_NS
    stored = whole[whole["ts_close_ns"] <= restart_ns]
    again = CandleBuilder(3, start_ns=restart_ns)
    again.begin_day(OPEN_NS)
    again.seed(stored[::-1], from_open=from_open)
    kept = day[day["ts_event_ns"] >= restart_ns - 2 * MINUTE_NS]
    assert len(again.apply(kept[kept["ts_event_ns"] < restart_ns + MINUTE_NS])) == 0
    emitted = [again.close_until(restart_ns + MINUTE_NS)]
    for minute in range(21, 40):
        open_ns = OPEN_NS + minute * MINUTE_NS
        inside = (day["ts_event_ns"] >= open_ns) & (day["ts_event_ns"] < open_ns + MINUTE_NS)
        assert len(again.apply(day[inside])) == 0
        emitted.append(again.close_until(open_ns + MINUTE_NS))
    assert np.array_equal(np.concatenate(emitted), whole[whole["ts_close_ns"] > restart_ns])


def test_a_late_tick_widens_a_seeded_candle_and_keeps_its_volume() -> None:
    candles = build_candles(ticks((10, 100, 10), (70, 101, 30)), 1)
    built = CandleBuilder(1, start_ns=at(120))
    built.seed(candles, from_open=True)
    (amended,) = built.apply(ticks((80, 140, 33)))
    assert ohlcv(amended) == (101, 140, 101, 101, 20)
    built.apply(ticks((121, 100, 35)))
    assert int(built.close_until(at(180))["volume"][0]) == 5


def test_a_tick_from_the_middle_of_a_seeded_candle_corrects_nothing() -> None:
    candles = build_candles(ticks((10, 100, 10, 0, 3), (50, 102, 20, 0, 7)), 1)
    built = CandleBuilder(1, start_ns=at(60))
    built.seed(candles, from_open=True)
    assert len(built.apply(ticks((30, 101, 15, 0, 5)))) == 0


def test_a_day_seeded_from_its_open_counts_from_nought_where_nothing_was_traded_yet() -> None:
    candles = build_candles(ticks((10, 100, 0)), 1)
    for from_open, expected in ((True, 30), (False, 0)):
        built = CandleBuilder(1, start_ns=at(60))
        built.seed(candles, from_open=from_open)
        built.apply(ticks((70, 100, 30)))
        assert int(built.close_until(at(120))["volume"][0]) == expected


def test_seeding_refuses_open_unknown_and_repeated_candles() -> None:
    candles = build_candles(ticks((10, 100, 10), (70, 101, 30)), 1)
    for start_ns, seeds in ((at(60), candles), (at(120), candles[[0, 0]])):
        with pytest.raises(ValueError, match="cannot seed"):
            CandleBuilder(1, start_ns=start_ns).seed(seeds, from_open=True)
    stranger = candles.copy()
    stranger["instrument"] = 4
    with pytest.raises(ValueError, match="instrument 4"):
        CandleBuilder(1, start_ns=at(120)).seed(stranger, from_open=True)
    stranger["timeframe_seconds"] = 300
    with pytest.raises(ValueError, match="candles of 60 s"):
        CandleBuilder(1, start_ns=at(120)).seed(stranger, from_open=True)
