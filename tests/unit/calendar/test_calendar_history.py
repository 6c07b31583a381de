"""The calendar against recorded index history: every recorded day trades, every trading day was recorded."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from tradebus.calendar import is_trading_day, session_for
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_DAY, ist_date

INDEX_BARS = Path(__file__).parents[3].parent / "shared/data/index_1min"

# Months and days the recording lacks although the exchange was open.
_GAPS = {"2016-10", "2018-05", "2024-02-01", "2024-03-04", "2024-04-05", "2024-05-07", "2024-07-10"}
_EVENING_MISSING = {date(2012, 11, 13), date(2013, 11, 3), date(2015, 11, 11)}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["BANKNIFTY_1min_2012-2024", "NIFTY_1min_2012-2020"])
def test_the_calendar_agrees_with_recorded_history(name: str) -> None:
    path = INDEX_BARS / f"{name}.parquet"
    if not path.exists():
        pytest.skip("no recorded index history lies beside the checkout")
    parquet = pytest.importorskip("pyarrow.parquet")
    moments = parquet.read_table(path, columns=["ts"]).column("ts").to_numpy().astype("datetime64[ns]").astype(np.int64)
    moments = moments - IST_OFFSET_NS  # written as naive Indian time
    recorded = {
        ist_date(int(day) * NANOSECONDS_PER_DAY) for day in np.unique((moments + IST_OFFSET_NS) // NANOSECONDS_PER_DAY)
    }
    assert [day for day in sorted(recorded) if not is_trading_day(day)] == []

    day, missing = min(recorded), []
    while day <= max(recorded):
        if is_trading_day(day) and day not in recorded and day not in _EVENING_MISSING and not _in_gap(day):
            missing.append(day)
        day += timedelta(days=1)
    assert missing == []

    for day in sorted(recorded):
        session = session_for(day, "index")
        assert session is not None
        inside = moments[(moments >= session.open_ns) & (moments < session.close_ns)]
        assert 0 < len(inside) <= session.expected_bars(60)


def _in_gap(day: date) -> bool:
    return f"{day:%Y-%m-%d}" in _GAPS or f"{day:%Y-%m}" in _GAPS or date(2023, 2, 1) <= day < date(2024, 1, 1)
