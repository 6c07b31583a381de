"""Every layout people have is read as the same bars, or refused with the one line that helps."""

import gzip
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tradebus.history.loading import LoadedHistory, load_history
from tradebus.history.validate import summary_of
from tradebus.history.vendors.reading import parse_reading
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

DAY = date(2024, 1, 15)
COUNT = 40
UTC_LAG = timedelta(hours=5, minutes=30)
Row = tuple[datetime, float, float, float, float, int]


def _row(minute: int) -> Row:
    price = 21_500 + minute * 1.25
    return (
        datetime.combine(DAY, time(9, 15)) + timedelta(minutes=minute),
        price, price + 3, price - 2.5, price + 0.75, 100 + minute,
    )  # fmt: skip


ROWS = [_row(minute) for minute in range(COUNT)]
HOURS = [_row(minute) for minute in range(375)]


def lines(header: str, row: Callable[[Row], Sequence[object]], *, rows: Sequence[Row] = ROWS, sep: str = ",") -> str:
    cells = [sep.join(str(cell) for cell in row(one)) for one in rows]
    return "\n".join(([header] if header else []) + cells) + "\n"


def stamped(layout: str, *, lag: timedelta = timedelta(0)) -> Callable[[Row], Sequence[object]]:
    return lambda row: ((row[0] - lag).strftime(layout), *row[1:])


def epoch(scale: int) -> Callable[[Row], Sequence[object]]:
    return lambda row: (ist_to_ns(row[0].date(), row[0].time()) // scale, *row[1:])


def indian(amount: float) -> str:
    """21,50,000.25 with the commas of lakhs."""
    whole, _, part = f"{amount:.2f}".partition(".")
    head, tail = whole[:-3], whole[-3:]
    return '"' + ",".join([*filter(None, re.findall(r"\d{1,2}", head)), tail]) + f'.{part}"'


def split(row: Row, day: str, clock: str) -> tuple[object, ...]:
    return (row[0].strftime(day), row[0].strftime(clock), *row[1:])


def candles(row: Row) -> list[object]:
    return [row[0].isoformat() + "+05:30", *row[1:], 0]


def _columns_of_dhan() -> dict[str, list[object]]:
    names = ("open", "high", "low", "close", "volume")
    found: dict[str, list[object]] = {name: [row[at] for row in ROWS] for at, name in enumerate(names, 1)}
    found["timestamp"] = [ist_to_ns(row[0].date(), row[0].time()) // 10**9 for row in ROWS]
    return found


_OHLCV = "open,high,low,close,volume"
_TITLE = "Open,High,Low,Close,Volume"
_MT = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
LAYOUTS: dict[str, tuple[str, str]] = {
    "own": ("a.csv", lines(f"ts,{_OHLCV}", stamped("%Y-%m-%d %H:%M:%S"))),
    "kite": ("a.csv", lines(f"date,{_OHLCV}", stamped("%Y-%m-%d %H:%M:%S+05:30"))),
    "kite without a colon": ("a.csv", lines(f"date,{_OHLCV}", stamped("%Y-%m-%dT%H:%M:%S+0530"))),
    "kite JSON": ("a.json", json.dumps({"status": "success", "data": {"candles": [candles(row) for row in ROWS]}})),
    "upstox JSON, newest first": ("a.json", json.dumps({"data": {"candles": [candles(row) for row in ROWS[::-1]]}})),
    "upstox": ("a.csv", lines(f"timestamp,{_OHLCV},oi", lambda row: (row[0].isoformat() + "+05:30", *row[1:], 0))),
    "dhan": ("a.csv", lines(f"timestamp,{_OHLCV}", epoch(10**9))),
    "dhan JSON": ("a.json", json.dumps(_columns_of_dhan())),
    "dhan JSON in data": ("a.json", json.dumps({"status": "success", "data": _columns_of_dhan()})),
    "list of objects": (
        "a.json",
        json.dumps([{"date": str(r[0]), "open": r[1], "high": r[2], "low": r[3], "close": r[4], "volume": r[5]}
                    for r in ROWS]),
    ),
    "tradingview ISO": ("a.csv", lines(f"time,{_OHLCV.replace('v', 'V')}", stamped("%Y-%m-%dT%H:%M:%S+05:30"))),
    "tradingview epoch": ("a.csv", lines("time,open,high,low,close,Volume", epoch(10**9))),
    "tradingview UTC": ("a.csv", lines(f"time,{_OHLCV}", stamped("%Y-%m-%dT%H:%M:%SZ", lag=UTC_LAG))),
    "epoch milliseconds": ("a.csv", lines(f"timestamp,{_OHLCV}", epoch(10**6))),
    "epoch nanoseconds": ("a.csv", lines(f"ts,{_OHLCV}", epoch(1))),
    "yfinance flat": ("a.csv", lines(f"Datetime,{_TITLE}", stamped("%Y-%m-%d %H:%M:%S+05:30"))),
    "yfinance of three lines": (
        "a.csv",
        "Price,Open,High,Low,Close,Volume\nTicker,NIFTY,NIFTY,NIFTY,NIFTY,NIFTY\nDatetime,,,,,\n"
        + lines("", stamped("%Y-%m-%d %H:%M:%S+00:00", lag=UTC_LAG)),
    ),
    "pandas index": ("a.csv", lines(f",{_OHLCV}", stamped("%Y-%m-%d %H:%M:%S"))),
    "pandas count beside a date": (
        "a.csv", lines(f",date,{_OHLCV}", lambda row: (row[5], row[0], *row[1:])),
    ),
    "GFDL": (
        "a.csv",
        lines("Ticker,Date,Time,Open,High,Low,Close,Volume,Open Interest",
              lambda row: ("NIFTY.NSE", *split(row, "%d/%m/%Y", "%H:%M:%S"), 0)),
    ),
    "metatrader": ("a.txt", lines(_MT, lambda row: (*split(row, "%Y.%m.%d", "%H:%M:%S")[:-1], 4, row[5], 1), sep="\t")),
    "metatrader without a header": ("a.csv", lines("", lambda row: split(row, "%Y.%m.%d", "%H:%M"))),
    "symbol, day as digits, clock": ("a.txt", lines("", lambda row: ("NIFTY", *split(row, "%Y%m%d", "%H:%M"), 0))),
    "semicolons": ("a.csv", lines(f"ts;{_OHLCV}".replace(",", ";"), stamped("%Y-%m-%d %H:%M:%S"), sep=";")),
    "tabs": ("a.tsv", lines(f"ts,{_OHLCV}".replace(",", "\t"), stamped("%Y-%m-%d %H:%M:%S"), sep="\t")),
    "day first": ("a.csv", lines(f"ts,{_OHLCV}", stamped("%d-%m-%Y %H:%M"))),
    "month first": ("a.csv", lines(f"ts,{_OHLCV}", stamped("%m/%d/%Y %H:%M"))),
    "month by name": ("a.csv", lines(f"Date,{_OHLCV}", stamped("%d-%b-%Y %H:%M:%S"))),
    "noon by half": ("a.csv", lines(f"Date,{_OHLCV}", stamped("%d-%m-%Y %I:%M:%S %p"))),
    "newest first": ("a.csv", lines(f"ts,{_OHLCV}", stamped("%Y-%m-%d %H:%M:%S"), rows=ROWS[::-1])),
    "thousands": (
        "a.csv",
        lines(f"Date,{_OHLCV}", lambda row: (row[0], *(indian(price) for price in row[1:5]), row[5])),
    ),
    "thousands in the own layout": (
        "a.csv",
        lines(f"ts,{_OHLCV}", lambda row: (row[0], *(indian(price) for price in row[1:5]), row[5])),
    ),
    "what nobody needs beside it": (
        "a.csv", lines(f"broker,Date,{_OHLCV},VWAP,Trades", lambda row: ("x", row[0], *row[1:], "-", "")),
    ),
}  # fmt: skip


def load(path: Path, *, columns: str = "", timezone: str = "", stamps: str = "") -> LoadedHistory:
    reading = parse_reading(columns=columns, timezone=timezone, stamps=stamps)
    return load_history(path, symbols=["NIFTY"], from_date=None, to_date=None, reading=reading)


def require_same(history: LoadedHistory, rows: Sequence[Row] = ROWS) -> None:
    found = history.columns
    assert found.ts_ns.tolist() == [ist_to_ns(row[0].date(), row[0].time()) for row in rows]
    for at, name in enumerate(("open", "high", "low", "close", "volume"), 1):
        np.testing.assert_array_equal(found.values[name], [float(row[at]) for row in rows], err_msg=name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_is_read_as_the_same_bars(tmp_path: Path, layout: str) -> None:
    name, text = LAYOUTS[layout]
    (tmp_path / name).write_text(text)
    require_same(load(tmp_path / name))


@pytest.mark.parametrize("layout", ["kite", "metatrader", "dhan JSON"])
def test_packed_files_are_read_as_what_is_in_them(tmp_path: Path, layout: str) -> None:
    name, text = LAYOUTS[layout]
    packed = tmp_path / f"{name}.gz"
    packed.write_bytes(gzip.compress(text.encode("utf-8-sig")))
    require_same(load(packed))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, text)
    require_same(load(tmp_path / "a.zip"))


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("is_multi", [False, True])
def test_parquet_of_pandas_is_read_by_its_index(tmp_path: Path, zone: str | None, is_multi: bool) -> None:
    index = pd.DatetimeIndex([row[0] for row in ROWS], name="Datetime").tz_localize("Asia/Kolkata").tz_convert(zone)
    index = index if zone else index + UTC_LAG
    names = _TITLE.split(",")
    columns = pd.MultiIndex.from_product([names, ["NIFTY"]]) if is_multi else pd.Index(names)
    pd.DataFrame([row[1:] for row in ROWS], index=index, columns=columns).to_parquet(tmp_path / "a.parquet")
    require_same(load(tmp_path / "a.parquet"))


@pytest.mark.parametrize("unit_ns", [1, 10**6, 10**9])
def test_parquet_of_the_own_columns_may_have_epochs(tmp_path: Path, unit_ns: int) -> None:
    names = ("ts", *_OHLCV.split(","))
    pd.DataFrame([epoch(unit_ns)(row) for row in ROWS], columns=names).to_parquet(tmp_path / "a.parquet")
    require_same(load(tmp_path / "a.parquet"))


@pytest.mark.parametrize(
    "text",
    [
        "Date,Time,LTP,LTQ\n15-01-2024,09:15:01,21500.5,50\n15-01-2024,09:15:01,21501,75\n",
        "exchange_timestamp,last_price,last_traded_quantity,volume_traded\n"
        "2024-01-15 09:15:01,21500.5,50,900\n2024-01-15 09:15:01,21501,75,975\n",
    ],
)
def test_ticks_of_a_vendor_are_ticks(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    found = load(path).columns
    assert found.is_ticks
    assert found.values["price"].tolist() == [21500.5, 21501]
    assert found.values["volume"].tolist() == [50, 75]


def test_what_was_taken_for_what_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(LAYOUTS["what nobody needs beside it"][1])
    columns, times, unused = summary_of(load(path)).said
    assert columns == "columns: open, high, low, close, volume, ts = Date"
    assert "India (IST)" in times
    assert "stamped at their start" in times
    assert unused == "not used: broker, VWAP, Trades"


def test_the_trader_overrules_columns_zone_and_stamps(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = lines("When,First,Top,Bottom,close,Last,volume",
                 lambda row: (row[0] - UTC_LAG + timedelta(minutes=1), *row[1:4], 1, *row[4:]))  # fmt: skip
    path.write_text(text)
    named = "ts=When,open=First,high=Top,low=Bottom,close=Last"
    require_same(load(path, columns=named, timezone="UTC", stamps="end"))


_ENDS = lines(f"ts,{_OHLCV}", lambda row: (row[0] + timedelta(minutes=1), *row[1:]), rows=HOURS)
_NAIVE_UTC = lines(f"ts,{_OHLCV}", stamped("%Y-%m-%d %H:%M:%S", lag=UTC_LAG), rows=HOURS)


def test_times_of_utc_without_an_offset_are_refused_until_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_NAIVE_UTC)
    with pytest.raises(InvalidInput, match=r"45 of 375 rows of NIFTY lie in a trading session.*--timezone UTC"):
        load(path)
    require_same(load(path, timezone="UTC"), HOURS)


def test_bars_stamped_at_their_end_are_refused_until_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_ENDS)
    with pytest.raises(InvalidInput, match=r"no bar at the open and one at the close.*--stamps end"):
        load(path)
    require_same(load(path, stamps="end"), HOURS)
    assert len(load(path, stamps="start").columns) == 374


_GOOD = "2024-01-15 09:15:00,100,101,99,100,5\n"
REFUSED = {
    "a day each, as in the bhavcopy": (
        "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,TOTTRDQTY,TIMESTAMP\nNIFTY,EQ,1,1,1,1,5,15-JAN-2024\n",
        "it is NSE's bhavcopy of shares, bars of a day: .* give one-minute bars or ticks",
    ),
    "a day each, as in UDiFF": (
        "TradDt,TckrSymb,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol\n2024-01-15,NIFTY,1,1,1,1,5\n",
        r"it is the exchange's bhavcopy \(UDiFF\), bars of a day: ",
    ),
    "several symbols side by side": (
        "Price,Open,Open\nTicker,NIFTY,RELIANCE\nDatetime,,\n2024-01-15 09:15:00,1,1\n",
        "2 symbols side by side .NIFTY, RELIANCE.: write one file for each",
    ),
    "decimal commas": (
        "Date;Open;High;Low;Close\n15-01-2024 09:15;1,5;1,5;1,5;1,5\n", "decimal comma",
    ),
    "mixed zones": (
        f"Date,{_OHLCV}\n{_GOOD}2024-01-15 09:16:00+05:30,100,101,99,100,5\n",
        r"row 2: ts '2024-01-15 09:16:00\+05:30' has an offset where row 1",
    ),
    "mixed zones in the own layout": (
        f"ts,{_OHLCV}\n{_GOOD}2024-01-15 09:16:00,100,101,99,100,5\n2024-01-15 09:17:00+05:30,100,101,99,100,5\n",
        r"row 3: ts '2024-01-15 09:17:00\+05:30' has an offset where row 1",
    ),
    "no time": ("When,open,high,low,close\n1,1,1,1,1\n", "no column 'ts'.*--columns ts=ITS_NAME"),
    "a word for a time": ("Date,open,high,low,close\nyesterday,1,1,1,1\n", "row 1: ts 'yesterday' is not a time"),
    "a time written otherwise": (
        f"Date,{_OHLCV}\n{_GOOD}15/01/2024 09:16,100,101,99,100,5\n",
        "row 2: ts '15/01/2024 09:16' is not a time.*as row 1",
    ),
    "a word for a price": (
        f"Date,{_OHLCV}\n{_GOOD}2024-01-15 09:16:00,100,101,99,dear,5\n", "row 2: close 'dear' is not a number",
    ),
    "a duplicate": (f"Date,{_OHLCV}\n{_GOOD}{_GOOD}", "row 2 .*ts is a duplicate"),
    "five minutes": (
        f"Date,{_OHLCV}\n" + "".join(f"2024-01-15 09:{m}:00,100,101,99,100,5\n" for m in (15, 20, 25, 30)),
        "300 seconds apart: give one-minute bars",
    ),
    "no header and too many columns": ("1,2,3,4,5,6,7,8,9,10\n", "no header, and its 10 columns"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_read_rightly_is_refused_in_one_line(tmp_path: Path, what: str) -> None:
    text, says = REFUSED[what]
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InvalidInput, match=says) as caught:
        load(tmp_path / "a.csv")
    assert str(tmp_path / "a.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "it is no JSON"),
        ('{"status": "failure"}', "holds no candles"),
        ('{"data": {"candles": []}}', "holds no candles"),
        ('{"open": [1, 2], "high": [1]}', "differ in length"),
        ('[["2024-01-15 09:15:00", 1, 1, 1, 1], [1]]', "row 2: it has 1 cells where others have 5"),
    ],
)
def test_json_without_candles_is_refused(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidInput, match=says):
        load(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"columns": "when"}, "--columns 'when': write what=its column"),
        ({"columns": "opne=Open"}, "did you mean.*open"),
        ({"columns": "ts=A,ts=B"}, "ts is named twice"),
        ({"columns": "ts=A"}, "--columns ts=A: there is no such column"),
        ({"timezone": "Mars"}, "--timezone 'Mars': no such time zone"),
        ({"timezone": "../../etc/passwd"}, "no such time zone"),
        ({"stamps": "middle"}, "--stamps 'middle': write start or end"),
    ],
)
def test_an_option_that_says_nothing_is_refused(tmp_path: Path, option: dict[str, str], says: str) -> None:
    (tmp_path / "a.csv").write_text(LAYOUTS["kite"][1])
    with pytest.raises(InvalidInput, match=says):
        load(tmp_path / "a.csv", **option)


def test_a_hole_and_a_split_are_named_and_traded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    kept = [row for row in HOURS if not time(11) <= row[0].time() < time(13, 20)]
    after = [(row[0] + timedelta(days=1), *(price / 2 for price in row[1:5]), row[5]) for row in ROWS]
    path.write_text(lines(f"ts,{_OHLCV}", lambda row: row, rows=[*kept, *after]))
    split_line, hole_line = summary_of(load(path)).said[-2:]
    assert "on 2024-01-16, like an unadjusted split or bonus of 2:1" in split_line
    assert "1 hole of more than 5 minutes inside a day, 140 minutes in all" in hole_line
    assert "from 2024-01-15 11:00 IST" in hole_line


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ((100, 101, 99, 100), (8, 8, 8, 8), "NIFTY moves -92% in row 2 (2024-01-15 09:16:00 IST): no exchange lets"),
        ((100, 101, 8, 8), (8, 8, 8, 8), "NIFTY moves -92% in row 1 (2024-01-15 09:15:00 IST): no exchange lets"),
        ((8, 8, 8, 8), (100, 101, 99, 100), "NIFTY moves +1,150% in row 2 (2024-01-15 09:16:00 IST): no exchange lets"),
    ],
)
def test_a_move_that_no_market_makes_is_named_and_is_no_split(
    tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...], says: str
) -> None:
    path = tmp_path / "a.csv"
    bars = zip((15, 16), (first, second), strict=True)
    rows = "".join(f"2024-01-15 09:{minute}:00,{','.join(map(str, bar))}\n" for minute, bar in bars)
    path.write_text(f"ts,open,high,low,close\n{rows}2024-01-16 09:15:00,300,300,300,300\n")
    lines_said = summary_of(load(path)).said
    assert any(line.startswith(says) for line in lines_said)
    assert not any("split" in line for line in lines_said)


def test_an_option_may_move_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ts,open,high,low,close\n2024-06-20 09:15:00,100,100,100,100\n2024-06-20 09:16:00,8,8,8,8\n")
    history = load_history(path, symbols=["NIFTY24JUN24000CE"], from_date=None, to_date=None)
    assert not any("moves" in line for line in summary_of(history).said)


def test_doubts_of_many_symbols_stay_a_page(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    bars = [f"S{one:03},2024-01-15 {clock}:00,9,9,9,9" for clock in ("09:15", "10:15") for one in range(30)]
    path.write_text("symbol,ts,open,high,low,close\n" + "\n".join(bars) + "\n")
    doubts = summary_of(load_history(path, symbols=[], from_date=None, to_date=None)).said[3:]
    assert len(doubts) == 11
    assert doubts[-1] == "20 more such lines: name symbols with --symbol to see theirs"
