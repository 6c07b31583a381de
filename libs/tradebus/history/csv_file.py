"""CSV into an Arrow table, with the numbers of malformed rows kept."""

import csv
import gzip
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from tradebus.history.layout import Layout
from tradebus.kernel.errors import InvalidInput


def csv_header(path: Path) -> list[str]:
    """The column names. Raises OSError, UnicodeDecodeError or csv.Error for what is no text file."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines), [])


def has_own_times(path: Path, names: list[str]) -> bool:
    """Whether the first row's ts is empty or begins with the year, as 2024-01-31; true where there is no row."""
    at = next((index for index, name in enumerate(names) if name.strip().lower() == "ts"), None)
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        next(rows, [])
        row = next(rows, [])
    if at is None or at >= len(row):
        return True
    return not row[at].strip() or re.match(r"\d{4}-\d\d-\d\d", row[at].strip()) is not None


def read_csv(path: Path, layout: Layout) -> pa.Table:
    """The columns of the layout, times as text, an empty cell as null.

    Numbers as numbers; where some cell is none, all as text: its row can then be named, or lies outside the window.
    Raises InvalidInput naming a row with too many or too few cells.
    """
    try:
        return _parse(path, layout, pa.float64(), threads=True)
    except pa.ArrowInvalid:
        return _parse(path, layout, pa.string(), threads=False)


def _parse(path: Path, layout: Layout, number: pa.DataType, *, threads: bool) -> pa.Table:
    types = dict.fromkeys(layout.values.values(), number)
    types[layout.ts] = pa.string()
    if layout.symbol:
        types[layout.symbol] = pa.string()
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "error" if threads else "skip"

    table = pacsv.read_csv(
        path,
        read_options=pacsv.ReadOptions(use_threads=threads),
        parse_options=pacsv.ParseOptions(invalid_row_handler=refuse),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=layout.wanted, strings_can_be_null=True, null_values=["", "nan", "NaN"]
        ),
    )
    if ragged:
        first = ragged[0]
        raise InvalidInput(
            f"{path}: row {first.number - 1}: it has {first.actual_columns} cells where the header has "
            f"{first.expected_columns}: correct or remove the row"
        )
    return table
