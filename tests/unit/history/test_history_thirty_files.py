"""The files that people have, one of each kind: each is read rightly, or refused with the one line that helps."""

import gzip
import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradebus.history.validate import check_history
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import ist_to_ns

DAY = date(2024, 1, 15)
SHARED = Path(__file__).parents[4] / "shared" / "data"
UTC_LAG, MINUTE = timedelta(hours=5, minutes=30), timedelta(minutes=1)
Bar = tuple[datetime, float, float, float, float, int]
BARS: list[Bar] = [
    (datetime.combine(DAY, time(9, 15)) + minute * MINUTE, 100.0, 101.0, 99.0, 100.0, 10) for minute in range(375)
]
TITLES = ("Open", "High", "Low", "Close", "Volume")
OWN = "ts,open,high,low,close,volume"


@dataclass(frozen=True)
class Outcome:
    """`bars` inside sessions, or the line of the refusal (a pattern); what is `said` beside."""

    bars: int = 0
    said: str = ""
    refused: str = ""


def csv_of(header: str, first: Callable[[datetime], object], *, bars: list[Bar] | None = None, end: str = "") -> str:
    rows = BARS if bars is None else bars
    lines = [",".join(str(cell) for cell in (first(bar[0]), *bar[1:])) + end for bar in rows]
    return "\n".join([header + end, *lines]) + "\n"


def own(bars: list[Bar]) -> bytes:
    return csv_of(OWN, str, bars=bars).encode()


def epoch(at: datetime) -> int:
    return ist_to_ns(at.date(), at.time()) // 10**9


def candles() -> list[list[object]]:
    return [[f"{bar[0].isoformat()}+05:30", *bar[1:], 0] for bar in BARS]


def parquet(frame: pd.DataFrame, *, index: bool = False) -> bytes:
    content = io.BytesIO()
    frame.to_parquet(content, index=index)
    return content.getvalue()


def frame_of(first: str, times: list[object]) -> pd.DataFrame:
    return pd.DataFrame({first: times} | {name.lower(): [bar[at] for bar in BARS] for at, name in enumerate(TITLES, 1)})


def indexed() -> pd.DataFrame:
    index = pd.DatetimeIndex([bar[0] for bar in BARS], name="Datetime").tz_localize("Asia/Kolkata")
    columns = pd.MultiIndex.from_product([list(TITLES), ["NIFTY"]])
    return pd.DataFrame([bar[1:] for bar in BARS], index=index, columns=columns)


def zip_of(files: Mapping[str, bytes], *, is_locked: bool = False) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    found = bytearray(content.getvalue())
    for mark, flags_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = found.find(mark) + flags_at
        if is_locked:
            struct.pack_into("<H", found, at, 1)
    return bytes(found)


def changed(scale: Callable[[datetime], float], *, days: int = 1) -> list[Bar]:
    """Bars of `days` ordinary days, their prices multiplied."""
    return [
        (at, *(price * scale(at) for price in bar[1:5]), bar[5])  # type: ignore[misc]
        for day in range(days)
        for bar in BARS
        for at in (bar[0] + timedelta(days=day),)
    ]


PLAIN = csv_of("Date,Open,High,Low,Close,Volume", str)
METATRADER = csv_of("<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", lambda at: f"{at:%Y.%m.%d},{at:%H:%M:%S}")
GFDL = csv_of("Ticker,Date,Time,Open,High,Low,Close,Volume", lambda at: f"NIFTY.NSE,{at:%d/%m/%Y},{at:%H:%M:%S}")
THREE_LINES = "Price,Open,High,Low,Close,Volume\nTicker,NIFTY,NIFTY,NIFTY,NIFTY,NIFTY\nDatetime,,,,,\n"
DHAN = {name.lower(): [bar[at] for bar in BARS] for at, name in enumerate(TITLES, 1)} | {
    "timestamp": [epoch(bar[0]) for bar in BARS]
}
TICKS = "ts,price\n" + "".join(f"{bar[0] + timedelta(seconds=5)},100\n" for bar in BARS)
DAYS = [BARS[0][0] + timedelta(days=day) for day in (0, 1, 2)]
BHAVCOPY = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,TOTTRDQTY,TIMESTAMP\nRELIANCE,EQ,1,1,1,1,5,15-JAN-2024\n"
UDIFF = "TradDt,FinInstrmTp,TckrSymb,OpnPric,HghPric,LwPric,ClsPric,TtlTradgVol\n2024-01-15,STK,INFY,1,1,1,1,5\n"
CHAIN = "ts,symbol,strike,option_type,price\n" + "".join(
    f"2024-01-15 09:15:01,NIFTY,{strike},CE,{600 - strike // 50}\n" for strike in (21_000, 22_000)
)
READ = Outcome(375)

FILES: dict[str, tuple[str, bytes, Outcome]] = {
    "tradebus": ("NIFTY.csv", own(BARS), Outcome(375, "symbol = NIFTY (by the file's name; another: --symbol)")),
    "kite": ("a.csv", csv_of("date,open,high,low,close,volume", lambda at: f"{at}+05:30").encode(), READ),
    "upstox": ("a.json", json.dumps({"data": {"candles": candles()[::-1]}}).encode(), READ),
    "dhan": ("a.json", json.dumps(DHAN).encode(), Outcome(375, "epoch in s, UTC instants")),
    "tradingview ISO": (
        "a.csv",
        csv_of("time,open,high,low,close,Volume", lambda at: f"{at - UTC_LAG}Z").encode(),
        READ,
    ),
    "tradingview epoch": ("NSE_NIFTY, 1.csv", csv_of("time,open,high,low,close,Volume", epoch).encode(), READ),
    "yfinance flat": ("a.csv", csv_of(f"Datetime,{','.join(TITLES)}", lambda at: f"{at}+05:30").encode(), READ),
    "yfinance of three lines": ("a.csv", (THREE_LINES + PLAIN.split("\n", 1)[1]).encode(), READ),
    "pandas index of two levels": ("a.parquet", parquet(indexed(), index=True), READ),
    "GFDL": ("a.csv", GFDL.encode(), READ),
    "metatrader": ("a.txt", METATRADER.replace(",", "\t").encode(), READ),
    "semicolons": ("a.csv", PLAIN.replace(",", ";").encode(), READ),
    "a comma at each end": ("a.csv", csv_of("Date,Open,High,Low,Close,Volume", str, end=",").encode(), READ),
    "Parquet": ("NIFTY 50_minute.parquet", parquet(frame_of("ts", [bar[0] for bar in BARS])), READ),
    "Parquet, text day first": ("a.parquet", parquet(frame_of("ts", [f"{b[0]:%d-%m-%Y %H:%M}" for b in BARS])), READ),
    "gz": ("a.csv.gz", gzip.compress(PLAIN.encode()), READ),
    "zip": ("a.zip", zip_of({"whatever": PLAIN.encode()}), READ),
    "zip of days": (
        "a.zip",
        zip_of({"15.csv": PLAIN.encode(), "16.csv": PLAIN.replace("-15 ", "-16 ").encode(), "about.pdf": b"x"}),
        Outcome(750, "files not used: about.pdf"),
    ),
    "UTF-16": ("a.csv", PLAIN.encode("utf-16"), READ),
    "a mark before UTF-8": ("a.csv", b"\xef\xbb\xbf" + own(BARS), READ),
    "ticks": ("a.csv", TICKS.encode(), Outcome(375, "ticks")),
    "a hole": ("a.csv", own(BARS[:100] + BARS[240:]), Outcome(235, "1 hole of more than 5 minutes inside a day, 140")),
    "an impossible move": (
        "a.csv",
        own(changed(lambda at: 0.08 if at.hour > 11 else 1)),
        Outcome(375, "NIFTY moves -92% in row 166"),
    ),
    "a split": (
        "a.csv",
        own(changed(lambda at: 1 if at.day == 15 else 0.5, days=2)),
        Outcome(750, "split or bonus of 2:1"),
    ),
    "a day without a row": (
        "a.csv",
        own([bar for bar in changed(lambda _: 1, days=3) if bar[0].day != 16]),
        Outcome(750, "no row on 1 trading day between its first and its last, 2024-01-16"),
    ),
    "duplicates": ("a.csv", own([*BARS[:5], BARS[4]]), Outcome(refused="row 6 .*ts is a duplicate")),
    "stamped at the end": ("a.csv", csv_of(OWN, lambda at: at + MINUTE).encode(), Outcome(refused="say --stamps end")),
    "UTC without a word": ("a.csv", csv_of(OWN, lambda at: at - UTC_LAG).encode(), Outcome(refused="--timezone UTC")),
    "mixed zones": (
        "a.csv",
        csv_of(OWN, lambda at: f"{at}+05:30" if at.hour == 12 else str(at)).encode(),
        Outcome(refused="row 166: ts .* has an offset where row 1, .*: write all times in one zone"),
    ),
    "five minutes": ("a.csv", own(BARS[::5]), Outcome(refused="300 seconds apart: give one-minute bars")),
    "days at the open": (
        "a.csv",
        own([(at, *BARS[0][1:]) for at in DAYS]),
        Outcome(refused="one bar a day, always at 09:15, bars of a day"),
    ),
    "a day at midnight": (
        "a.csv",
        own([(datetime.combine(DAY, time(0)), *BARS[0][1:])]),
        Outcome(refused="always at 00:00, bars of a day"),
    ),
    "bhavcopy": ("cm15JAN2024bhav.csv", BHAVCOPY.encode(), Outcome(refused="NSE's bhavcopy of shares, bars of a day")),
    "UDiFF": ("bhav.csv.zip", zip_of({"b.csv": UDIFF.encode()}), Outcome(refused=r"bhavcopy \(UDiFF\), bars of a day")),
    "an option chain": (
        "a.csv",
        CHAIN.encode(),
        Outcome(refused="of 2 contracts, which strike, option_type tell apart"),
    ),
    "a gz cut short": ("a.csv.gz", gzip.compress(own(BARS))[:-200], Outcome(refused="cannot be read: ")),
    "a zip with a password": (
        "a.zip",
        zip_of({"a.csv": PLAIN.encode()}, is_locked=True),
        Outcome(refused=r"locked with a password \(a.csv\)"),
    ),
    "a zip of a later make": (
        "a.zip",
        zip_of({"a.csv": PLAIN.encode()}).replace(b"PK\x01\x02\x14\x03\x14", b"PK\x01\x02\x14\x03\x63"),
        Outcome(refused="cannot be read: zip file version 9.9"),
    ),
    "a zip cut short": ("a.zip", zip_of({"a.csv": PLAIN.encode()})[:-40], Outcome(refused="cannot be read: ")),
    "no instant": (
        "a.csv",
        b"time,open,high,low,close\n1705290300,1,1,1,1\n1e300,1,1,1,1\n",
        Outcome(refused="row 2: ts '1e300' is not a time"),
    ),
    "a line that is no text": (
        "a.csv",
        own(BARS).replace(b"15:29:00", b"15:2\xff:00"),
        Outcome(refused="line 376 is no text in UTF-8"),
    ),
    "nothing": ("a.csv", b"", Outcome(refused=r"is empty \(0 bytes\): fetch it again")),
    "Excel called CSV": (
        "a.csv",
        zip_of({"xl/workbook.xml": b"x"}),
        Outcome(refused="an Excel workbook .*save it as CSV"),
    ),
    "Excel": ("a.xlsx", zip_of({"xl/workbook.xml": b"x"}), Outcome(refused=r"neither \.parquet, \.csv")),
    "old Excel called CSV": ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", Outcome(refused="an Excel workbook")),
    "Parquet called CSV": (
        "a.csv",
        parquet(frame_of("ts", [bar[0] for bar in BARS])),
        Outcome(refused="name it .parquet"),
    ),
    "a web page called CSV": (
        "a.csv",
        b"\n<!DOCTYPE html><html>",
        Outcome(refused="a web page, not data: fetch it again"),
    ),
    "no text": ("a.csv", b"Date,Open\n\xff\xff\x00", Outcome(refused="cannot be read: .*utf-8")),
    "more cells than names": (
        "a.csv",
        (PLAIN.replace(",10\n", ",10,7\n")).encode(),
        Outcome(refused="its rows have 7 cells, its first line 6 names: name every column"),
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_each_is_read_rightly_or_refused_with_the_line_that_helps(tmp_path: Path, what: str) -> None:
    name, content, outcome = FILES[what]
    path = tmp_path / name
    path.write_bytes(content)
    if outcome.refused:
        with pytest.raises(InvalidInput, match=outcome.refused) as caught:
            check_history(path, "NIFTY", None, None)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    summary = check_history(path, None if "NIFTY" in name else "NIFTY", None, None)
    assert (summary.bars, summary.symbols, summary.first[:16]) == (outcome.bars, ("NIFTY",), "2024-01-15T09:15")
    assert outcome.said in "\n".join((str(summary), *summary.said))
    assert len(summary.said) >= 3


DAMAGED = (
    "tradebus",
    "kite",
    "dhan",
    "GFDL",
    "metatrader",
    "Parquet",
    "pandas index of two levels",
    "gz",
    "zip of days",
)
CUTS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 12), st.binary(max_size=12)), min_size=1, max_size=3)


@settings(deadline=None)
@given(st.sampled_from(DAMAGED), CUTS, st.booleans())
def test_a_damaged_file_ends_in_bars_or_in_one_line(what: str, cuts: list[tuple[int, int, bytes]], near: bool) -> None:
    name, content, _ = FILES[what]
    for share, gone, instead in cuts:
        at = min(len(content), 300 if near else len(content)) * share // 100
        content = content[:at] + instead + content[at + gone :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        line = told(path, "NIFTY")
        assert (
            line.startswith(("REFUSED history: ", f"REFUSED {path}: ")) or " bars on " in line or " ticks in " in line
        )
        assert len(line.splitlines()) == 1
        assert len(line) < 900


def told(path: Path, symbol: str | None) -> str:
    """What a history holds, or why it is refused."""
    try:
        return str(check_history(path, symbol, None, None))
    except InvalidInput as error:
        return f"REFUSED {error}"


REAL = {
    "index_1min/NIFTY_1min_2022-08_2022-10.parquet": "19,125 bars on 51 days",
    "futures/BANKNIFTY_F1_1min_2021-04-01_0915-1029.csv": "75 bars on 1 day",
    "futures/NIFTY26OCTFUT_5min_2026-10-01_2026-10-05.csv": "300 seconds apart",
    "futures/NSE_FO_futures_daily_udiff.parquet": "the exchange's bhavcopy (UDiFF), bars of a day",
    "futures/NSE_stock_futures_ticks_2025-11-17_1207-1308.parquet": "row 183: ts is empty",
    "equities_daily/NIFTY50_constituents_daily_2018-2021.parquet": "days without a time of day, bars of a day",
    "options/NIFTY_option_chain_1min_20260819.parquet": "of 458 contracts, which strike, option_type, expiry",
    "options/nse_site_option_chain_NIFTY_2026-06-30.csv": "its rows have 23 cells, its first line 3 names",
    "instruments/kite_NFO_BFO_instruments_2026-08.csv.gz": "no column 'ts'",
}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_or_refused_so_too(name: str) -> None:
    if not (SHARED / name).is_file():
        pytest.skip("real market data does not lie beside the checkout")
    assert REAL[name] in told(SHARED / name, None)
