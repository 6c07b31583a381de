"""A vendor's text file as a table of text cells, with the row each stands in.

; , tab or | between cells · with a header, without one, or yfinance's of three lines
"""

import csv
import io
import re
import warnings
from typing import Any

import pandas as pd

from tradebus.history.cells import first_line
from tradebus.kernel.errors import InvalidInput

DELIMITERS = ";\t|,"
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_NUMBER = re.compile(r"[-+]?[\d.,]+([eE][-+]?\d+)?")


def text_of(content: bytes, *, source: str) -> str:
    """UTF-8 or UTF-16, with its mark or without. Raises InvalidInput where it is neither."""
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{source}: it is no text in UTF-8: {first_line(error)}: save it as CSV in UTF-8") from None


def cells_of(text: str, *, source: str) -> pd.DataFrame:
    """Text cells by the file's own column names; the index is each row's number. A column `symbol` is added from
    yfinance's second header line. Raises InvalidInput for ragged rows and for several symbols side by side."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    if delimiter == ";" and "." not in text and re.search(r"\d,\d", text):
        raise InvalidInput(f"{source}: its numbers have a decimal comma: write 101.35, not 101,35")
    has_no_header = is_headless(first.split(delimiter))
    try:
        frame = _parsed(text, delimiter, has_no_header=has_no_header)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error, ValueError) as error:
        raise InvalidInput(f"{source}: cannot be read as a table: {first_line(error)}") from None
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    if has_no_header:
        frame.columns = pd.Index(_names_of(frame, source=source))
        return frame
    frame.columns = pd.Index([re.sub(r"^Unnamed: \d+$", "", str(name)) for name in frame.columns])
    return _one_header(frame, source=source)


def _parsed(text: str, delimiter: str, *, has_no_header: bool) -> pd.DataFrame:
    """Raises ValueError where rows have cells that the header has no name for; empty ones at their end may be."""
    options: dict[str, Any] = {
        "sep": delimiter, "dtype": str, "keep_default_na": False, "index_col": False, "skipinitialspace": True,
        "on_bad_lines": "error",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(io.StringIO(text), header=None if has_no_header else 0, **options)
        except pd.errors.ParserWarning:  # pandas would drop what has no name
            pass
    rows = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    header, first = (next(row for row in rows if row) for _ in range(2))
    names = [*header, *(f"unnamed {number}" for number in range(len(header) + 1, len(first) + 1))]
    frame = pd.read_csv(io.StringIO(text), header=None, skiprows=1, names=names, **options)
    beside = frame[names[len(header) :]]
    if (beside != "").any(axis=None):
        raise ValueError(f"its rows have {len(first)} cells, its first line {len(header)} names: name every column")
    return frame.drop(columns=beside.columns)


def is_headless(cells: list[str]) -> bool:
    """Whether the first line is a row already: it has numbers where a header has names."""
    return sum(bool(_NUMBER.fullmatch(cell.strip().strip('"'))) for cell in cells) >= 4


def _names_of(frame: pd.DataFrame, *, source: str) -> list[str]:
    """[symbol,] date [, time], open, high, low, close [, volume] [, open interest]: as every such file has them."""
    first = [str(cell).strip() for cell in frame.iloc[0]]
    names = ["symbol"] if re.match(r"[A-Za-z]", first[0]) else []
    rest = first[len(names) :]
    names += ["date", "time"] if len(rest) > 1 and _CLOCK.fullmatch(rest[1]) else ["ts"]
    names += ["open", "high", "low", "close", "volume", "open_interest"][: len(first) - len(names)]
    if len(names) != len(first) or "close" not in names:
        raise InvalidInput(
            f"{source}: it has no header, and its {len(first)} columns are not [symbol,] date[, time], open, high, "
            "low, close[, volume][, oi]: add a first line with their names"
        )
    return names


def _one_header(frame: pd.DataFrame, *, source: str) -> pd.DataFrame:
    """yfinance writes `Price, Close, …`, then `Ticker, RELIANCE.NS, …`, then `Datetime, , …`."""
    if len(frame) < 2 or str(frame.iloc[0, 0]).strip().lower() != "ticker":
        return frame
    tickers = sorted({str(cell) for cell in frame.iloc[0, 1:]})
    if len(tickers) != 1:
        raise InvalidInput(
            f"{source}: it has {len(tickers)} symbols side by side ({', '.join(tickers[:5])}): write one file for each"
        )
    names = list(frame.columns)
    names[0] = "ts"
    skip = 2 if not any(str(cell).strip() for cell in frame.iloc[1, 1:]) else 1
    return frame.iloc[skip:].set_axis(names, axis="columns").assign(symbol=tickers[0])
