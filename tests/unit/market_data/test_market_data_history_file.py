"""Every way a history file can be wrong ends in one line that names the file, the row and what to do."""

import gzip
import os
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tradebus.history.columns import require_one_minute, require_sound
from tradebus.history.history_file import ReadWindow, open_file, read
from tradebus.history.sources import SourceFile, sources_of
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

DAY = date(2024, 1, 2)
FROM_NS, TO_NS = ist_to_ns(DAY, time(0)), ist_to_ns(date(2024, 1, 3), time(0))
HEADER = "ts,open,high,low,close,volume"
GOOD = [
    "2024-01-02 09:15:00,100,101,99.5,100.5,10",
    "2024-01-02 09:16:00,100.5,102,100,101.35,0",
    "2024-01-02 09:17:00,101.35,101.35,101,101.2,7",
]


def written(tmp_path: Path, lines: list[str], *, header: str = HEADER, name: str = "bars.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def load(path: Path, *symbols: str, from_ns: int = FROM_NS, to_ns: int = TO_NS) -> ReadWindow:
    file = open_file(sources_of(path).files[0])
    window = read(file, symbols=symbols or ("NIFTY",), from_ns=from_ns, to_ns=to_ns)
    require_sound(window.columns, source=file.source)
    require_one_minute(window.columns, source=file.source)
    return window


def test_sound_file_is_read_with_its_rows_and_utc_times(tmp_path: Path) -> None:
    columns = load(written(tmp_path, GOOD)).columns
    assert columns.row.tolist() == [1, 2, 3]
    assert columns.ts_ns[0] == ist_to_ns(DAY, time(9, 15))
    assert columns.values["close"].tolist() == [100.5, 101.35, 101.2]
    assert not columns.is_ticks


@pytest.mark.parametrize(
    ("row", "line", "says"),
    [
        (2, "2024-01-02 09:16:00,100.5,102,100,abc,0", "close 'abc' is not a number"),
        (2, "2024-01-02 09:16:00,100.5,102,100,,0", "close is empty, NaN or infinite"),
        (2, "2024-01-02 09:16:00,NaN,102,100,101,0", "open is empty, NaN or infinite"),
        (2, "2024-01-02 09:16:00,inf,inf,100,101,0", "open is empty, NaN or infinite"),
        (2, "2024-01-02 09:16:00,-5,102,-9,101,0", "open -5.00 is not a positive price"),
        (2, "2024-01-02 09:16:00,0,102,0,101,0", "open 0.00 is not a positive price"),
        (2, "2024-01-02 09:16:00,0.001,102,0.001,101,0", "is not a positive price"),
        (2, "2024-01-02 09:16:00,101,100,102,101,0", "high 100.00 is below low 102.00"),
        (2, "2024-01-02 09:16:00,103,102,100,101,0", "open 103.00 is outside low 100.00 to high 102.00"),
        (2, "2024-01-02 09:16:00,101,102,100,99,0", "close 99.00 is outside low 100.00 to high 102.00"),
        (2, "2024-01-02 09:16:00,101,1e300,100,101,0", "high 1e+300 is more than a price can be"),
        (2, "2024-01-02 09:15:00,101,102,100,101,0", "ts is a duplicate"),
        (2, "2024-01-02 09:14:00,101,102,100,101,0", "ts is earlier than the row before it"),
        (2, "2024-01-02 09:16:30,101,102,100,101,0", "ts is not on a whole minute"),
        (2, "02-01-2024 09:16,101,102,100,101,0", "ts '02-01-2024 09:16' is not a time"),
        (2, ",101,102,100,101,0", "ts is empty"),
        (2, "2024-01-02 09:16:00,101,102,100,101,-3", "volume -3 is not a whole number of units"),
        (2, "2024-01-02 09:16:00,101,102,100,101,1.5", "volume 1.5 is not a whole number of units"),
        (2, "2024-01-02 09:16:00,101,102,100,101,", "volume is empty, NaN or infinite"),
        (2, "2024-01-02 09:16:00,101,102,100,101", "it has 5 cells where the header has 6"),
    ],
)
def test_bad_row_is_named_with_its_file(tmp_path: Path, row: int, line: str, says: str) -> None:
    path = written(tmp_path, [GOOD[0], line, GOOD[2]])
    with pytest.raises(InvalidInput) as caught:
        load(path)
    text = str(caught.value)
    assert says in text
    assert text.startswith(f"{path}: row {row}")
    assert "\n" not in text


@pytest.mark.parametrize("column", ["ts", "open", "high", "low", "close"])
def test_missing_column_is_named_with_those_there_are(tmp_path: Path, column: str) -> None:
    path = written(tmp_path, GOOD, header=HEADER.replace(column, "other", 1))
    with pytest.raises(InvalidInput, match=f"no column '{column}'.*it has .*other"):
        load(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("bars.csv", "", r"is empty \(0 bytes\): fetch it again"),
        ("bars.parquet", "not parquet at all", "cannot be read"),
        ("bars.csv", "ts,open,high,low,close,CLOSE\n", "column 'close' occurs twice"),
    ],
)
def test_file_that_is_no_history_is_refused(tmp_path: Path, name: str, content: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InvalidInput, match=says):
        load(path)


def test_folder_without_a_history_is_not_taken_for_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "notes.pdf").write_text("x")
    with pytest.raises(InvalidInput, match=r"holds no file that is \.parquet, .*; it holds notes\.pdf"):
        load(tmp_path)


def test_missing_file_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    with pytest.raises(InvalidInput, match=r"there is no file .*barz\.csv \(did you mean 'bars\.csv'\?\)"):
        load(tmp_path / "barz.csv")


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    for name, says in (
        ("pipe.csv", "is a pipe or a device"),
        ("loop.csv", "cannot be read: Too many levels of symbolic links"),
        ("x" * 300 + ".csv", "cannot be read: File name too long"),
    ):
        with pytest.raises(InvalidInput, match=says):
            load(tmp_path / name)


def test_dirt_outside_the_window_is_not_this_runs_affair(tmp_path: Path) -> None:
    bad = ["2024-01-01 09:15:00,abc,1,2,,-4", "2024-01-01 09:14:00,-1,1,2,3,0"]
    columns = load(written(tmp_path, [*bad, *GOOD])).columns
    assert columns.row.tolist() == [3, 4, 5]


def test_dirt_of_another_symbol_is_not_this_runs_affair(tmp_path: Path) -> None:
    lines = [f"{line},TCS" for line in GOOD]
    lines.insert(1, "2024-01-02 09:15:00,abc,1,2,,-4,INFY")
    path = written(tmp_path, lines, header=HEADER + ",symbol")
    assert load(path, "TCS").columns.row.tolist() == [1, 3, 4]
    with pytest.raises(InvalidInput, match="row 2"):
        load(path, "INFY")


def test_first_bad_row_is_reported_whichever_rule_it_breaks(tmp_path: Path) -> None:
    lines = [GOOD[0], "2024-01-02 09:16:00,101,100,102,101,0", "2024-01-02 09:17:00,,1,1,1,0"]
    with pytest.raises(InvalidInput, match=r"row 2 .*high 100\.00 is below low"):
        load(written(tmp_path, lines))


def test_symbols_may_interleave_but_each_must_be_in_order(tmp_path: Path) -> None:
    lines = [f"{line},{symbol}" for line in GOOD for symbol in ("TCS", "INFY")]
    path = written(tmp_path, lines, header=HEADER + ",symbol")
    assert load(path, "TCS", "INFY").columns.names == ("TCS", "INFY")
    path = written(tmp_path, [*lines, f"{GOOD[0]},INFY"], header=HEADER + ",symbol")
    with pytest.raises(InvalidInput, match=r"row 7 \(INFY .*earlier than the row before"):
        load(path, "TCS", "INFY")


def test_unknown_symbol_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"'BANKNIFTI' is unknown \(did you mean 'BANKNIFTY'\?\)"):
        load(written(tmp_path, GOOD), "BANKNIFTI")
    path = written(tmp_path, [f"{line},FORTIS" for line in GOOD], header=HEADER + ",symbol")
    with pytest.raises(InvalidInput, match=r"no symbol 'FORTES' \(did you mean 'FORTIS'\?\)"):
        load(path, "FORTES")


def test_file_without_symbol_column_takes_exactly_one_symbol(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="give exactly one symbol"):
        load(written(tmp_path, GOOD), "NIFTY", "BANKNIFTY")


def test_five_minute_bars_are_refused(tmp_path: Path) -> None:
    lines = [f"2024-01-02 09:{minute}:00,100,101,99,100,1" for minute in (15, 20, 25, 30)]
    with pytest.raises(InvalidInput, match="300 seconds apart: give one-minute bars"):
        load(written(tmp_path, lines))


def test_ticks_are_recognised_and_may_share_an_instant(tmp_path: Path) -> None:
    lines = ["2024-01-02 09:15:00.250,100.05", "2024-01-02 09:15:00.250,100.10", "2024-01-02 09:15:01,100"]
    columns = load(written(tmp_path, lines, header="ts,price")).columns
    assert columns.is_ticks
    assert columns.values["price"].tolist() == [100.05, 100.10, 100.0]
    with pytest.raises(InvalidInput, match=r"row 3 .*earlier than the row before"):
        load(written(tmp_path, [*lines[:2], "2024-01-02 09:15:00,1"], header="ts,price"))


def test_parquet_csv_and_gzip_of_the_same_bars_read_alike(tmp_path: Path) -> None:
    plain = written(tmp_path, GOOD)
    zipped = tmp_path / "bars.csv.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    expected = load(plain).columns
    stamps = [datetime(2024, 1, 2, 9, minute) for minute in (15, 16, 17)]  # noqa: DTZ001 naive, as vendors write it
    for kind in (pa.timestamp("ns"), pa.timestamp("us"), pa.timestamp("s"), pa.string()):
        times = pa.array([str(stamp) for stamp in stamps]) if kind == pa.string() else pa.array(stamps, kind)
        table = {name: pa.array(values) for name, values in expected.values.items()}
        pq.write_table(pa.table({"ts": times, **table, "src": ["x"] * 3}), tmp_path / "bars.parquet", row_group_size=2)
        for path in (zipped, tmp_path / "bars.parquet"):
            found = load(path).columns
            assert np.array_equal(found.ts_ns, expected.ts_ns)
            assert np.array_equal(found.row, expected.row)
            assert {name: values.tolist() for name, values in found.values.items()} == {
                name: values.tolist() for name, values in expected.values.items()
            }


def test_zoned_times_are_taken_as_the_instants_they_are(tmp_path: Path) -> None:
    lines = [line.replace(":00,", ":00+05:30,", 1) for line in GOOD]
    assert load(written(tmp_path, lines)).columns.ts_ns[0] == ist_to_ns(DAY, time(9, 15))
    lines[1] = lines[1].replace("09:16", "noon")
    with pytest.raises(InvalidInput, match="row 2: ts '2024-01-02 noon"):
        load(written(tmp_path, lines))


def test_rows_of_a_late_row_group_keep_their_number(tmp_path: Path) -> None:
    stamps = np.arange("2024-01-01T09:15", "2024-01-01T09:25", dtype="datetime64[m]")
    stamps = np.concatenate([stamps, stamps + np.timedelta64(1, "D")]).astype("datetime64[us]")
    close = np.full(20, 100.0)
    close[13] = 200.0
    flat = np.full(20, 100.0)
    table = pa.table({"ts": stamps, "open": flat, "high": flat, "low": flat, "close": close})
    pq.write_table(table, tmp_path / "bars.parquet", row_group_size=5)
    with pytest.raises(InvalidInput, match=r"row 14 .*close 200\.00 is outside"):
        load(tmp_path / "bars.parquet")


def test_empty_window_reports_the_span_of_the_file(tmp_path: Path) -> None:
    file = open_file(SourceFile(written(tmp_path, GOOD)))
    window = read(file, symbols=("NIFTY",), from_ns=TO_NS, to_ns=TO_NS + 1)
    assert len(window.columns) == 0
    assert window.first_ns == ist_to_ns(DAY, time(9, 15))
    assert window.last_ns == ist_to_ns(DAY, time(9, 17))
