"""CSV into an Arrow table, with the numbers of malformed rows kept."""

import csv
import gzip
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

from tradebus.history.layout import Layout
from tradebus.history.sources import SourceFile
from tradebus.kernel.errors import InvalidInput


def first_rows(source: SourceFile) -> tuple[list[str], list[str]]:
    """The column names and the cells of the first row, each empty where there is none. Raises OSError,
    UnicodeDecodeError or csv.Error for what is no text file."""
    if source.member:
        return _two(io.StringIO(source.content().decode("utf-8-sig"), newline=""))
    opener = gzip.open if source.path.name.lower().endswith(".gz") else open
    with opener(source.path, "rt", encoding="utf-8-sig", newline="") as lines:
        return _two(lines)


def _two(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    rows = csv.reader(lines)
    return next(rows, []), next(rows, [])


def has_own_times(names: Sequence[str], row: Sequence[str]) -> bool:
    """Whether the first row's ts is empty or begins with the year, as 2024-01-31; true where there is no row."""
    at = next((index for index, name in enumerate(names) if name.strip().lower() == "ts"), None)
    return at is None or at >= len(row) or is_own_time(row[at])


def is_own_time(cell: str) -> bool:
    """Whether a text is a time as the own layout has it, or empty."""
    return not cell.strip() or re.match(r"\d{4}-\d\d-\d\d", cell.strip()) is not None


def read_csv(source: SourceFile, layout: Layout) -> pa.Table:
    """The columns of the layout, times as text, an empty cell as null.

    Numbers as numbers; where some cell is none, all as text: its row can then be named, or lies outside the window.
    Raises InvalidInput naming a row with too many or too few cells.
    """
    try:
        return _parse(source, layout, pa.float64(), threads=True)
    except pa.ArrowInvalid:
        _require_text(source)
        return _parse(source, layout, pa.string(), threads=False)


def _require_text(source: SourceFile) -> None:
    """Raises InvalidInput naming the first line that is no text."""
    content = source.content()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(
            f"{source}: line {line:,} is no text in UTF-8: correct it, or save the file as UTF-8"
        ) from None


def _parse(source: SourceFile, layout: Layout, number: pa.DataType, *, threads: bool) -> pa.Table:
    types = dict.fromkeys(layout.values.values(), number)
    types[layout.ts] = pa.string()
    if layout.symbol:
        types[layout.symbol] = pa.string()
    ragged: list[Any] = []

    def refuse(row: Any) -> str:
        ragged.append(row)
        return "skip"

    table = pacsv.read_csv(
        source.open(),
        read_options=pacsv.ReadOptions(use_threads=threads),
        parse_options=pacsv.ParseOptions(invalid_row_handler=None if threads else refuse),
        convert_options=pacsv.ConvertOptions(
            column_types=types, include_columns=layout.wanted, strings_can_be_null=True, null_values=["", "nan", "NaN"]
        ),
    )
    if ragged:
        first = ragged[0]
        raise InvalidInput(
            f"{source}: row {first.number - 1}: it has {first.actual_columns} cells where the header has "
            f"{first.expected_columns}: correct or remove the row"
        )
    return table
