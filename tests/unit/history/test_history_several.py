"""A folder or a zip of files is one history: whatever the split, the order and the layouts."""

import gzip
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradebus.history.columns import Columns
from tradebus.history.loading import LoadedHistory, load_history
from tradebus.history.merging import merge
from tradebus.history.validate import summary_of
from tradebus.history.vendors.reading import parse_reading
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

DAYS = (date(2024, 1, 15), date(2024, 1, 16), date(2024, 1, 17))
OWN, KITE = "ts,open,high,low,close,volume", "date,open,high,low,close,volume"
COUNT = 20


def bars(day: date, *, price: float = 100.0, header: str = OWN, count: int = COUNT, volume: bool = True) -> str:
    opens = datetime.combine(day, time(9, 15))
    zone = "" if header.startswith("ts") else "+05:30"
    rows = [
        f"{opens + timedelta(minutes=minute)}{zone},{price},{price + 1},{price - 1},{price}" + (",10" if volume else "")
        for minute in range(count)
    ]
    return "\n".join([header if volume else header.removesuffix(",volume"), *rows]) + "\n"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def packed(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def load(path: Path, *symbols: str, from_date: date | None = None, warmup_minutes: int = 0) -> LoadedHistory:
    return load_history(path, symbols=symbols, from_date=from_date, to_date=None, warmup_minutes=warmup_minutes)


def said(history: LoadedHistory) -> str:
    return "\n".join(summary_of(history).said)


def minutes(history: LoadedHistory, name: str) -> list[int]:
    columns = history.columns
    return columns.ts_ns[columns.symbol == columns.names.index(name)].tolist()


def test_a_day_in_each_file_is_one_history_whatever_the_order_and_the_layout(tmp_path: Path) -> None:
    files = {
        "c.csv": bars(DAYS[0]), "b.csv.gz": bars(DAYS[1], header=KITE), "in/a.tsv": bars(DAYS[2]).replace(",", "\t"),
    }  # fmt: skip
    history = load(write(tmp_path / "days", files), "NIFTY")
    assert minutes(history, "NIFTY") == [
        ist_to_ns(day, time(9, 15 + minute)) for day in DAYS for minute in range(COUNT)
    ]
    two = packed(tmp_path / "days.zip", {"c.csv": files["c.csv"], "x/d.csv": bars(DAYS[1])})
    assert minutes(load(two, "NIFTY"), "NIFTY") == minutes(history, "NIFTY")[: 2 * COUNT]
    text = said(history)
    assert "files: 3 read; by their names, or as said: NIFTY in 3" in text
    assert "in b.csv.gz: columns: open, high, low, close, volume, ts = date" in text
    assert history.name == "days"


def test_a_contract_in_each_file_is_known_by_its_name(tmp_path: Path) -> None:
    folder = write(tmp_path, {"NIFTY 50_minute.csv": bars(DAYS[0]), "RELIANCE-EQ/2024.csv": bars(DAYS[0], price=2500)})
    history = load(folder)
    assert sorted(history.columns.names) == ["NIFTY", "RELIANCE"]
    assert len(minutes(history, "RELIANCE")) == COUNT
    only = load(folder, "RELIANCE")
    assert only.columns.names == ("RELIANCE",)
    assert "files not used: 1 file of other instruments" in said(only)


def test_one_file_is_known_by_its_name_and_the_trader_knows_better(tmp_path: Path) -> None:
    path = write(tmp_path, {"BANKNIFTY_1min_2024.csv": bars(DAYS[0])}) / "BANKNIFTY_1min_2024.csv"
    assert load(path).columns.names == ("BANKNIFTY",)
    assert "symbol = BANKNIFTY (by the file's name; another: --symbol)" in said(load(path))
    assert load(path, "NIFTY").columns.names == ("NIFTY",)
    assert "symbol = NIFTY (as said, though its name says BANKNIFTY)" in said(load(path, "NIFTY"))


@pytest.mark.parametrize(
    ("name", "says"),
    [("bars.csv", "says no instrument that is known"), ("NIFTY_SENSEX.csv", "may mean NIFTY or SENSEX")],
)
def test_a_name_that_says_no_single_instrument_is_not_guessed_at(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(
        InvalidInput, match=f"{name}: it has no column 'symbol', and its name {says}: say one with --symbol"
    ):
        load(write(tmp_path, {name: bars(DAYS[0])}) / name)
    with pytest.raises(InvalidInput, match=says):
        load(write(tmp_path, {name: bars(DAYS[0]), "RELIANCE.csv": bars(DAYS[0])}))


def test_rows_that_two_files_have_alike_are_taken_once_and_said(tmp_path: Path) -> None:
    history = load(
        write(tmp_path, {"a.csv": bars(DAYS[0]), "b.csv": bars(DAYS[0]) + bars(DAYS[1])[len(OWN) + 1 :]}), "NIFTY"
    )
    assert len(history.columns) == 2 * COUNT
    line = "20 rows stand alike in more than one file (the first: NIFTY at 2024-01-15 09:15:00 IST, row 1 of b.csv)"
    assert f"{line}: each is taken once" in said(history)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (bars(DAYS[0], price=101), "open 100 and 101"),
        (bars(DAYS[0]).replace(",10\n", ",20\n"), "volume 10 and 20"),
        (bars(DAYS[0], volume=False), "volume 10 and 0"),
    ],
)
def test_files_that_say_two_things_of_one_minute_are_refused(tmp_path: Path, other: str, what: str) -> None:
    folder = write(tmp_path, {"a.csv": bars(DAYS[0]), "b.csv": other})
    says = rf"on NIFTY at 2024-01-15 09:15:00 IST \({what}\), and 19 more such rows: keep one of the two files"
    with pytest.raises(InvalidInput, match=f"row 1 of a.csv and row 1 of b.csv differ {says}"):
        load(folder, "NIFTY")


def test_a_quantity_that_one_file_lacks_is_said(tmp_path: Path) -> None:
    history = load(write(tmp_path, {"a.csv": bars(DAYS[0]), "b.csv": bars(DAYS[1], volume=False)}), "NIFTY")
    assert history.columns.values["volume"].tolist() == [10] * COUNT + [0] * COUNT
    assert "volume is 0 in b.csv, which has none" in said(history)


def test_days_between_files_are_a_hole_and_named(tmp_path: Path) -> None:
    history = load(write(tmp_path, {"a.csv": bars(DAYS[0]), "b.csv": bars(date(2024, 2, 1))}), "NIFTY")
    line = "NIFTY has no row on 10 trading days between its first and its last, the longest gap of 10 from 2024-01-16 "
    assert f"{line}to 2024-01-31 (between a.csv and b.csv)" in said(history)


def test_warm_up_comes_from_the_files_before_the_window(tmp_path: Path) -> None:
    folder = write(tmp_path, {f"{day}.csv": bars(day) for day in DAYS})
    history = load(folder, "NIFTY", from_date=DAYS[2], warmup_minutes=30)
    assert len(history.columns) == COUNT
    assert history.warmup.ts_ns[0] == ist_to_ns(DAYS[0], time(9, 25))
    assert len(history.warmup) == 30


def test_what_is_not_read_is_said(tmp_path: Path) -> None:
    beside = {"README.txt": "hello", "notes.pdf": "x", "in/.hidden.csv": "x", "empty.csv": f"{OWN}\n"}
    history = load(write(tmp_path, {"a.csv": bars(DAYS[0]), "b.csv": bars(DAYS[1]), **beside}), "NIFTY")
    assert "files not used: README.txt, notes.pdf, empty.csv (it holds no row)" in said(history)


TICKS = "ts,price\n2024-01-15 09:15:01,100\n2024-01-15 09:15:03,101\n"


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.csv": bars(DAYS[0]), "t.csv": TICKS}, "t.csv holds ticks and a.csv bars"),
        ({"a.csv": TICKS, "b.csv": TICKS.replace(":01,", ":02,")}, "hold ticks of the same hours"),
        ({"a.csv": bars(DAYS[0]), "b.csv": bars(DAYS[1]).replace("100.0", "x", 1)}, r"b\.csv: row 1: open 'x' is not"),
        ({"a.csv": bars(DAYS[0]), "b.csv": "when,what\n1,2\n"}, r"b\.csv: no column 'ts'"),
        ({"a.csv": bars(DAYS[0]), "b.csv": ""}, r"b\.csv is empty \(0 bytes\): fetch it again, or move it away"),
        ({"notes.pdf": ""}, "holds no file that is"),
        ({"a.csv": f"{OWN}\n", "b.csv": f"{OWN}\n"}, "none of its 2 files holds a row"),
    ],
)  # fmt: skip
def test_one_file_that_cannot_be_used_refuses_the_folder(tmp_path: Path, files: Mapping[str, str], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        load(write(tmp_path / "x", files), "NIFTY")
    assert "\n" not in str(caught.value)
    if all(files.values()):
        with pytest.raises(InvalidInput, match=says):
            load(packed(tmp_path / "x.zip", files), "NIFTY")


def test_ticks_of_one_hour_after_the_other_are_one_history(tmp_path: Path) -> None:
    history = load(write(tmp_path, {"b.csv": TICKS, "a.csv": TICKS.replace("09:15", "10:15")}), "NIFTY")
    assert history.columns.values["price"].tolist() == [100, 101, 100, 101]


def test_parquet_in_a_zip_is_read(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ts": pd.date_range("2024-01-15 09:15", periods=5, freq="min"), "price": 100.0})
    frame.to_parquet(tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(tmp_path / "a.parquet", "NIFTY.parquet")
    assert len(load(tmp_path / "z.zip").columns) == 5


def test_options_of_the_trader_hold_for_each_file(tmp_path: Path) -> None:
    folder = write(tmp_path, {f"{day}.csv": bars(day).replace("close", "Last") for day in DAYS[:2]})
    reading = parse_reading(columns="close=Last", timezone="", stamps="")
    assert (
        len(load_history(folder, symbols=["NIFTY"], from_date=None, to_date=None, reading=reading).columns) == 2 * COUNT
    )


def whole(at_minutes: Sequence[int]) -> Columns:
    ts_ns = np.asarray([ist_to_ns(DAYS[0], time(9, 15)) + minute * 60 * 10**9 for minute in at_minutes], np.int64)
    prices = np.asarray(at_minutes, float) + 1
    return Columns(
        np.arange(1, len(ts_ns) + 1), ts_ns, np.zeros(len(ts_ns), np.int64), ("NIFTY",),
        dict.fromkeys(("open", "high", "low", "close"), prices),
    )  # fmt: skip


@given(st.sets(st.integers(0, 300), min_size=1, max_size=40), st.data())
def test_any_split_into_files_that_may_overlap_is_the_same_history(at_minutes: set[int], data: st.DataObject) -> None:
    rows = sorted(at_minutes)
    chosen = [data.draw(st.sets(st.sampled_from(range(3)), min_size=1)) for _ in rows]
    files = [[row for row, where in zip(rows, chosen, strict=True) if number in where] for number in range(3)]
    pieces = [(f"{number}.csv", whole(part)) for number, part in enumerate(files)]
    merged = merge(data.draw(st.permutations(pieces))).columns
    expected = whole(rows)
    assert merged.ts_ns.tolist() == expected.ts_ns.tolist()
    np.testing.assert_array_equal(merged.values["close"], expected.values["close"])
    for index in range(len(merged)):
        assert merged.place(index).startswith(f"row {merged.row[index]}")
