"""The fast way reads a clean file as the slow way does, and leaves every other to it."""

import tempfile
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.history.loading import LoadedHistory, load_history
from tradebus.history.sources import SourceFile
from tradebus.history.vendors.reading import FileReading
from tradebus.history.vendors.typed import typed_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

OPEN = datetime.combine(date(2024, 1, 15), time(9, 15))
NAMES = "open,high,low,close,volume"
# Header of the time, and how it is written: of two columns with a comma between.
WRITTEN = {
    "kite": ("date", "%Y-%m-%d %H:%M:%S+05:30"),
    "a T and no colon": ("date", "%Y-%m-%dT%H:%M:%S+0530"),
    "no offset": ("Datetime", "%Y-%m-%d %H:%M:%S"),
    "epoch": ("time", "epoch"),
    "day first": ("Date", "%d-%m-%Y %H:%M"),
    "month by name": ("Date", "%d-%b-%Y %I:%M:%S %p"),
    "month first": ("Date", "%m/%d/%Y %H:%M"),
    "GFDL": ("Date,Time", "%d/%m/%Y,%H:%M:%S"),
    "metatrader": ("<DATE>,<TIME>", "%Y.%m.%d,%H:%M"),
}


def moment(at: datetime, written: str) -> str:
    return str(ist_to_ns(at.date(), at.time()) // 10**9) if written == "epoch" else at.strftime(written)


def file_of(folder: Path, what: str, minutes: list[int], *, dirt: tuple[int, str] | None = None) -> Path:
    """`dirt`: the row whose close is written so."""
    header, written = WRITTEN[what]
    rows = [f"{header},{NAMES}"]
    for row, minute in enumerate(minutes):
        close = dirt[1] if dirt and row == dirt[0] else "1500.5"
        rows.append(f"{moment(OPEN + timedelta(minutes=minute), written)},1500,1502,1499,{close},10")
    path = folder / "a.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def load(path: Path) -> LoadedHistory:
    return load_history(path, symbols=["NIFTY"], from_date=None, to_date=None)


@given(
    st.sampled_from(list(WRITTEN)),
    st.sets(st.integers(2, 374), min_size=1, max_size=10).map(lambda later: [0, 1, *sorted(later)]),
    st.sampled_from([None, "1,500.5", " 1500.5 ", "dear", "", "1.5005e3"]),
    st.integers(0, 11),
)
def test_what_is_not_clean_is_read_or_refused_as_cell_by_cell(
    what: str, minutes: list[int], dirt: str | None, row: int
) -> None:
    row %= len(minutes)
    with tempfile.TemporaryDirectory() as folder:
        cell = f'"{dirt}"' if dirt and "," in dirt else dirt
        path = file_of(Path(folder), what, minutes, dirt=None if cell is None else (row, cell))
        typed = typed_of(SourceFile(path), FileReading())
        assert (typed is None) == (dirt in ("1,500.5", "dear"))
        if dirt in ("dear", ""):
            with pytest.raises(InvalidInput, match=f"row {row + 1}\\b.*close ('dear' is not a number|is empty)"):
                load(path)
            return
        columns = load(path).columns
        assert columns.ts_ns.tolist() == [ist_to_ns(OPEN.date(), time(9, 15)) + 60 * 10**9 * one for one in minutes]
        assert columns.values["close"].tolist() == [1500.5] * len(minutes)
        assert columns.row.tolist() == list(range(1, len(minutes) + 1))


@pytest.mark.parametrize("zone", [None, "Asia/Kolkata", "UTC"])
def test_parquet_of_times_and_numbers_is_read_without_text(tmp_path: Path, zone: str | None) -> None:
    index = pd.date_range(OPEN, periods=5, freq="min", tz="Asia/Kolkata")
    frame = pd.DataFrame({"Date": index.tz_convert(zone) if zone else index.tz_localize(None)})
    frame[["Open", "High", "Low", "Close"]] = 100.0
    frame["tradingsymbol"] = "NSE:NIFTY 50"
    path = tmp_path / "a.parquet"
    frame.to_parquet(path, index=False)
    assert typed_of(SourceFile(path), FileReading()) is not None
    assert load(path).columns.ts_ns.tolist() == [at.value for at in index.as_unit("ns")]


def test_a_zone_whose_clocks_change_is_read_by_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"Datetime,{NAMES}\n" + "".join(f"2024-01-14 22:{m}:00,1,1,1,1,1\n" for m in (45, 46, 47)))
    reading = FileReading(timezone="America/New_York")
    history = load_history(path, symbols=["NIFTY"], from_date=None, to_date=None, reading=reading)
    assert history.columns.ts_ns[0] == ist_to_ns(OPEN.date(), time(9, 15))
