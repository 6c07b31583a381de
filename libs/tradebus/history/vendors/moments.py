"""Times of a column of text, all in one way of writing, as UTC.

Invariants: one column is read in one way, so no cell is guessed at alone; a cell that is not written so is refused by
its row; times with an offset and times without never mix. 05-06-2024 is day first unless some row shows otherwise.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tradebus.history.cells import clipped
from tradebus.history.columns import Ints
from tradebus.kernel.errors import InvalidInput

IST = "Asia/Kolkata"
_EPOCH = re.compile(r"\d{9,10}(\.\d*)?|\d{13}|\d{16}|\d{19}")
_WRITTEN = re.compile(
    r"(?P<date>\d{4}(?P<a>[-/.])\d{1,2}(?P=a)\d{1,2}|\d{8}|\d{1,2}(?P<b>[-/.])\d{1,2}(?P=b)\d{4}|"
    r"\d{1,2}(?P<c>[- /])[A-Za-z]{3}(?P=c)(?:\d{4}|\d{2}))"
    r"(?:(?P<gap>[T ])(?P<time>\d{1,2}:\d{2}(?::\d{2}(?P<part>\.\d{1,9})?)?|\d{6}|\d{4})(?P<half> ?[AaPp][Mm])?)?"
    r"(?P<zone> ?(?:Z|[+-]\d{2}:?\d{2}))?"
)
_ZONED = re.compile(r":\d{2}(?:\.\d+)? ?(?:Z|[+-]\d{2}:?\d{2})$")
# From this size on; to microseconds.
_UNITS = ((10**17, "ns", 1, 1000), (10**14, "us", 1, 1), (10**11, "ms", 1000, 1), (0, "s", 1_000_000, 1))
_US_MAX = 9e18


@dataclass(frozen=True, slots=True)
class Moments:
    """Microseconds since the UTC epoch, and how they were written."""

    ts_us: Ints
    written: str  # "epoch seconds", "day first", "year first"
    is_zoned: bool  # they carry their own zone
    has_time: bool  # of day


def moments_of(cells: "pd.Series[Any]", *, timezone: str, source: str) -> Moments:
    """`timezone` is that of times without one. Raises InvalidInput naming the first cell that is no such time."""
    text = cells.astype(str).str.strip()
    if (text == "").any():
        row = int((text == "").to_numpy().argmax()) + 1
        raise InvalidInput(f"{source}: row {row}: ts is empty: write it as 2024-01-31 09:15:00")
    first = text.iloc[0] if len(text) else ""
    if _EPOCH.fullmatch(first):
        return _epochs(text, source=source)
    match = _WRITTEN.fullmatch(first)
    if match is None:
        raise _refused(text, 0, source=source)
    _require_one_kind(text, is_zoned=bool(match["zone"]), source=source)
    layout, written = _layout(match, text)
    read = pd.to_datetime(text, format=layout, errors="coerce", utc=bool(match["zone"]))
    if read.isna().any():
        raise _refused(text, int(read.isna().to_numpy().argmax()), source=source)
    if not match["zone"]:
        read = read.dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
        if read.isna().any():
            row = int(read.isna().to_numpy().argmax())
            raise InvalidInput(
                f"{source}: row {row + 1}: ts {clipped(text.iloc[row])} is no one instant in {timezone}, whose clocks "
                "change then: give times with their offset"
            )
    ts_us = read.dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)
    return Moments(ts_us, written, bool(match["zone"]), match["time"] is not None)


def date_width(cell: str) -> int:
    """How many characters of a time without an offset are its date and the gap after it; 0 of any other text."""
    match = _WRITTEN.fullmatch(cell)
    return match.end("gap") if match and match["time"] and not match["zone"] else 0


def _epochs(text: "pd.Series[Any]", *, source: str) -> Moments:
    numbers = pd.to_numeric(text, errors="coerce")
    size, unit, times, divided = next(one for one in _UNITS if float(numbers.iloc[0]) >= one[0])
    unsound = ~(numbers.abs() < _US_MAX / times)  # what is no number too
    if unsound.any():
        raise _refused(text, int(unsound.to_numpy().argmax()), source=source)
    if size:
        ts_us = numbers.astype(np.int64).to_numpy() * times // divided
    else:
        ts_us = np.rint(numbers.to_numpy(float) * times).astype(np.int64)
    return Moments(ts_us, f"epoch in {unit}", is_zoned=True, has_time=True)


def _require_one_kind(text: "pd.Series[Any]", *, is_zoned: bool, source: str) -> None:
    zoned = text.str.contains(_ZONED)
    other = zoned.to_numpy(bool) != is_zoned
    if other.any() and (is_zoned or zoned.any()):
        row = int(other.argmax())
        raise InvalidInput(
            f"{source}: row {row + 1}: ts {clipped(text.iloc[row])} {'has no' if is_zoned else 'has an'} offset where "
            f"row 1, {clipped(text.iloc[0])}, {'has one' if is_zoned else 'has none'}: write all times in one zone"
        )


def _layout(match: "re.Match[str]", text: "pd.Series[Any]") -> tuple[str, str]:
    day, written = _day(match, text)
    if match["time"] is None:
        return day, written
    clock = match["time"]
    if ":" not in clock:
        layout = "%H%M%S" if len(clock) == 6 else "%H%M"
    else:
        layout = "%I:%M" if match["half"] else "%H:%M"
        layout += ":%S" if clock.count(":") == 2 else ""
        layout += ".%f" if match["part"] else ""
    half = match["half"] or ""
    layout += (" %p" if half.startswith(" ") else "%p") if half else ""
    zone = match["zone"] or ""
    layout += (" %z" if zone.startswith(" ") else "%z") if zone else ""
    return f"{day}{match['gap']}{layout}", written


def _day(match: "re.Match[str]", text: "pd.Series[Any]") -> tuple[str, str]:
    if match["a"]:
        return f"%Y{match['a']}%m{match['a']}%d", "year first"
    if match["c"]:
        year = "%Y" if len(match["date"].rsplit(match["c"], 1)[1]) == 4 else "%y"
        return f"%d{match['c']}%b{match['c']}{year}", "day first"
    if not match["b"]:
        return "%Y%m%d", "year first"
    parts = text.str.extract(r"^(\d+)\D(\d+)\D").astype(float)
    if (parts[1] > 12).any() and not (parts[0] > 12).any():
        return f"%m{match['b']}%d{match['b']}%Y", "month first, since some row has a 13th or later"
    return f"%d{match['b']}%m{match['b']}%Y", "day first"


def _refused(text: "pd.Series[Any]", row: int, *, source: str) -> InvalidInput:
    as_first = f", or as row 1, {clipped(text.iloc[0])}, is" if row else ""
    return InvalidInput(
        f"{source}: row {row + 1}: ts {clipped(text.iloc[row])} is not a time: write it as 2024-01-31 "
        f"09:15:00{as_first}"
    )
