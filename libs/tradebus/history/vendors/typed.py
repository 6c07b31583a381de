"""A vendor's clean file read by Arrow, with numbers as numbers: ten times as fast as text cells.

Invariant (tested over every layout): what is read here is what `recognise` reads cell by cell. Whatever is not clean (a
comma between thousands, a word for a number, a time written otherwise, no header, several header lines) is None here,
and is read or refused there, by its row.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from tradebus.history.sources import SourceFile
from tradebus.history.vendors.headers import bhavcopy_of, contract_columns, roles_of
from tradebus.history.vendors.moments import IST, Moments, date_width, moments_of
from tradebus.history.vendors.reading import FileReading
from tradebus.history.vendors.texts import DELIMITERS, is_headless
from tradebus.kernel.errors import InvalidInput

_HEAD_BYTES = 1 << 16
_NULLS = ["", "nan", "NaN", "NAN", "null", "NULL", "-"]
_TEXTS = ("ts", "date", "time", "symbol")
_WITHOUT_CHANGES = (IST, "UTC")  # zones whose clocks never change
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?")
_EPOCH = re.compile(r"\d{10}|\d{13}|\d{16}|\d{19}")
_EPOCH_UNITS = {10: ("s", 1_000_000, 1), 13: ("ms", 1000, 1), 16: ("us", 1, 1), 19: ("ns", 1, 1000)}


@dataclass(frozen=True, slots=True)
class Typed:
    """The columns that have a role, by the file's own names, and the times of its rows."""

    table: pa.Table
    names: list[str]
    roles: Mapping[str, str]
    moments: Moments


def typed_of(file: SourceFile, reading: FileReading) -> Typed | None:
    """None for what is not clean, and for what is to be refused."""
    try:
        found = _of_parquet(file, reading) if file.is_parquet else _of_text(file, reading)
        if found is None:
            return None
        table, names, roles = found
        zone = reading.timezone or IST
        if "ts" in roles:
            moments = _moments(table.column(roles["ts"]), timezone=zone)
        else:
            moments = _of_two(table.column(roles["date"]), table.column(roles["time"]), gap=" ", timezone=zone)
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error, InvalidInput):
        return None
    return None if moments is None or not len(table) else Typed(table, names, roles, moments)


def _of_parquet(file: SourceFile, reading: FileReading) -> tuple[pa.Table, list[str], Mapping[str, str]] | None:
    schema = pq.read_schema(file.open())
    names = list(schema.names)
    roles = _roles(names, reading, file)
    if roles is None or any(name.startswith("('") for name in names):  # columns of two levels
        return None
    for role, own in roles.items():
        kind = schema.field(own).type
        if role not in _TEXTS and not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            return None
    return pq.read_table(file.open(), columns=list(dict.fromkeys(roles.values()))), names, roles


def _of_text(file: SourceFile, reading: FileReading) -> tuple[pa.Table, list[str], Mapping[str, str]] | None:
    if file.name.endswith(".json"):
        return None
    lines = [line for line in file.head(_HEAD_BYTES).decode("utf-8-sig", "replace").splitlines() if line.strip()]
    if len(lines) < 3:
        return None
    delimiter = max(DELIMITERS, key=lines[0].count)
    rows = list(csv.reader(lines[:3], delimiter=delimiter, skipinitialspace=True))
    if len(rows) < 3:  # a cell goes over the line's end
        return None
    names, first, second = rows
    if is_headless(names) or first[0].strip().lower() == "ticker" or not len(names) == len(first) == len(second):
        return None
    roles = _roles(names, reading, file)
    if roles is None or len(set(names)) < len(names):
        return None
    types = {own: pa.string() if role in _TEXTS else pa.float64() for role, own in roles.items()}
    table = pacsv.read_csv(
        file.open(),
        read_options=pacsv.ReadOptions(column_names=names, skip_rows_after_names=1),
        parse_options=pacsv.ParseOptions(delimiter=delimiter),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=list(types), null_values=_NULLS, strings_can_be_null=False
        ),
    )
    return table, names, roles


def _roles(names: list[str], reading: FileReading, file: SourceFile) -> dict[str, str] | None:
    """None where they are not those of one time and bars or ticks."""
    if bhavcopy_of(names) or contract_columns(names):
        return None
    roles = roles_of(names, reading.columns, source=str(file))
    is_timed = "ts" in roles or {"date", "time"} <= set(roles)
    return roles if is_timed and len(set(roles.values())) == len(roles) else None


def _moments(cells: pa.ChunkedArray, *, timezone: str) -> Moments | None:
    if cells.null_count:
        return None
    if pa.types.is_timestamp(cells.type):
        return Moments(_utc_us(cells, timezone), "stored as times", cells.type.tz is not None, has_time=True)
    if pa.types.is_integer(cells.type):
        cells = cells.cast(pa.string())
    if not (pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)):
        return None
    bounds = pc.min_max(pc.utf8_length(cells)).as_py()
    first = cells[0].as_py()
    if bounds["min"] != bounds["max"]:
        return None
    if _EPOCH.fullmatch(first):
        unit, times, divided = _EPOCH_UNITS[len(first)]
        whole = cells.cast(pa.int64()).to_numpy()
        return Moments(whole * times // divided, f"epoch in {unit}", is_zoned=True, has_time=True)
    match = _ISO.fullmatch(first)
    if match is None:
        width = date_width(first)
        days, clocks = (pc.utf8_slice_codeunits(cells, start, stop) for start, stop in ((0, width), (width, None)))
        return _of_two(days, clocks, gap="", timezone=timezone) if width else None
    is_zoned = match["zone"] is not None
    stored = cells.cast(pa.timestamp("us", "UTC" if is_zoned else None))
    return Moments(_utc_us(stored, timezone), "year first", is_zoned, has_time=True)


def _of_two(days: pa.ChunkedArray, clocks: pa.ChunkedArray, *, gap: str, timezone: str) -> Moments | None:
    """Of text dates and times of day: each is read once, however many rows have it."""
    if timezone not in _WITHOUT_CHANGES or not all(pa.types.is_string(one.type) for one in (days, clocks)):
        return None
    day, clock = (_encoded(one) for one in (days, clocks))
    each_day, each_clock = day.dictionary.to_pylist(), clock.dictionary.to_pylist()
    if not each_day or None in each_day or None in each_clock or not date_width(f"{each_day[0].strip()} 09:15"):
        return None
    by_day = moments_of(pd.Series([f"{one}{gap}{each_clock[0]}" for one in each_day]), timezone=timezone, source="")
    by_clock = moments_of(pd.Series([f"{each_day[0]}{gap}{one}" for one in each_clock]), timezone=timezone, source="")
    if by_day.is_zoned or by_clock.is_zoned or not by_day.has_time:
        return None
    after_us = by_clock.ts_us - by_clock.ts_us[0]
    ts_us = by_day.ts_us[day.indices.to_numpy()] + after_us[clock.indices.to_numpy()]
    return Moments(ts_us, by_day.written, is_zoned=False, has_time=True)


def _encoded(cells: pa.ChunkedArray) -> pa.DictionaryArray:
    encoded = pc.dictionary_encode(cells, null_encoding="encode").combine_chunks()
    return encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded


def _utc_us(cells: pa.ChunkedArray, timezone: str) -> npt.NDArray[np.int64]:
    """Raises ArrowInvalid where a clock that changes makes a time no one instant."""
    zoned = cells if cells.type.tz is not None else pc.assume_timezone(cells.cast(pa.timestamp("us")), timezone)
    return np.asarray(zoned.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64()).to_numpy(), np.int64)
