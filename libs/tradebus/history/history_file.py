"""Reads a window of a CSV or Parquet file into columns, touching no more of the file than it must.

    open_file ─► read: times of each row group ─► rows inside the window ─► the other columns of those rows ─► Columns

Row numbers survive every cut, so that an error names the row as it stands in the file. What a row's values must obey is
decided in `columns`; here only what cannot be read at all is refused.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tradebus.history.cells import clipped, first_line, first_refused, instants_us, numbers_of, times
from tradebus.history.columns import Columns, Floats, Ints
from tradebus.history.csv_file import first_rows, has_own_times, is_own_time, read_csv
from tradebus.history.layout import Layout, is_own, layout_of
from tradebus.history.sources import SourceFile
from tradebus.history.vendors.headers import contract_columns, has_symbols
from tradebus.history.vendors.reading import FileReading
from tradebus.kernel.errors import InvalidInput, nearest
from tradebus.kernel.time import ist_to_ns
from tradebus.symbols.descriptions import canonical, require_known

if TYPE_CHECKING:
    from tradebus.history.vendors.recognise import Recognised

FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2200, 1, 1)
# What files are by their first bytes (in small letters) that a name calls otherwise.
_MAGIC = {
    b"pk\x03\x04": "an Excel workbook or a zip, whatever its name says: save it as CSV, or name it .zip",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, whatever its name says: save it as CSV",
    b"par1": "Parquet, whatever its name says: name it .parquet",
    b"\x1f\x8b": "packed by gzip, whatever its name says: name it .gz",
    b"<!doctype": "a web page, not data: fetch it again, logged in",
    b"<html": "a web page, not data: fetch it again, logged in",
}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_SOUND_US = ist_to_ns(FIRST_DAY, time(0)) // 1000, ist_to_ns(LAST_DAY + timedelta(days=1), time(0)) // 1000


class UnnamedInstrument(InvalidInput):
    """Neither the file nor the trader says which instrument it is about."""


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """An existing file whose columns are known."""

    of: SourceFile
    layout: Layout
    names: tuple[str, ...]  # of every column
    recognised: "Recognised | None" = None  # of a layout that is not the feed's own, whole in memory

    @property
    def source(self) -> str:
        """What error lines call the file."""
        return str(self.of)

    @property
    def said(self) -> tuple[str, ...]:
        """In lines for a person: what was taken for what, how its times were read, what is not used."""
        if self.recognised is not None:
            return self.recognised.said
        stamp = "ticks" if "price" in self.layout.values else "bars of a minute stamped at their start"
        unused = [name or "(no name)" for name in self.names if name not in self.layout.wanted]
        return (
            f"columns: {', '.join(self.layout.wanted)}",
            f"times: India (IST) where they carry no offset; {stamp}; another way: --timezone, --stamps, --columns",
            f"not used: {', '.join(unused) if unused else 'nothing'}",
        )


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """What `read` found. `first_ns` and `last_ns` span the whole file (0 where it has no row), but for rows at no time
    of a market (before FIRST_DAY, after LAST_DAY): `strays` of them, the first in row `first_stray`."""

    columns: Columns
    first_ns: int
    last_ns: int
    strays: int = 0
    first_stray: int = 0


def open_file(source: SourceFile, reading: FileReading | None = None) -> HistoryFile:
    """Looks at the columns only of a file in the feed's own layout; another is recognised (`reading` overrules), which
    reads it whole. Raises InvalidInput where it cannot be one of ours."""
    reading = reading or FileReading()
    _require_kind(source)
    try:
        names, is_own_time = _columns_of(source)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"history: {source} cannot be read: {first_line(error)}") from None
    is_whole = names is not None and is_own_time and not contract_columns(names) and (not names or is_own(names))
    if names is not None and is_whole and not reading.is_said:
        return HistoryFile(source, layout_of(names, source=str(source)), tuple(names))
    # Half a second of pandas, which files of the own layout do without.
    from tradebus.history.vendors.recognise import recognise

    try:
        found = recognise(source, reading)
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"history: {source} cannot be read: {first_line(error)}") from None
    return HistoryFile(source, found.layout, (), found)


def says_no_symbol(source: SourceFile, reading: FileReading) -> bool:
    """Whether its columns can be seen without reading it, and none of them is of symbols."""
    try:
        names, _ = _columns_of(source)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error):
        return False  # what it is is said where it is opened
    return "symbol" not in reading.columns and names is not None and len(names) > 1 and not has_symbols(names)


def _columns_of(source: SourceFile) -> tuple[list[str] | None, bool]:
    """The names of its columns and whether its times are written as the own layout has them; None for what is neither
    Parquet nor a table of text with commas."""
    if source.is_parquet:
        schema = pq.read_schema(source.open())
        return schema.names, _has_own_times(source, schema)
    if not source.name.endswith(".csv") or source.head(2) in _UTF16:
        return None, False
    names, row = first_rows(source)
    return names, has_own_times(names, row)


def _has_own_times(source: SourceFile, schema: pa.Schema) -> bool:
    """Whether a Parquet file's column ts holds times, or texts that begin with the year; no count since 1970."""
    for field in schema:
        if field.name.strip().lower() == "ts":
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                first = next(pq.ParquetFile(source.open()).iter_batches(1, columns=[field.name]), None)
                return first is None or is_own_time(first.column(0)[0].as_py() or "")
            return not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type))
    return True


def _require_kind(source: SourceFile) -> None:
    """Raises InvalidInput where the first bytes say that it is not what its name says."""
    head = source.head()
    if not head:
        raise InvalidInput(f"history: {source} is empty (0 bytes): fetch it again, or move it away")
    for magic, what in _MAGIC.items():
        if head.lstrip().lower().startswith(magic) and not (magic == b"par1" and source.is_parquet):
            raise InvalidInput(f"history: {source} is {what}")


def read(
    file: HistoryFile, *, symbols: Sequence[str], from_ns: int, to_ns: int, is_one_of_several: bool = False
) -> ReadWindow:
    """The rows of `symbols` (canonical; empty = all the file holds) with from_ns <= ts < to_ns. One of several files
    need not hold them all.

    Raises InvalidInput for an unknown symbol and for a cell that is no time or no number, naming the row.
    """
    try:
        return _Reader(file, from_us=from_ns // 1000, to_us=to_ns // 1000, is_one_of_several=is_one_of_several).read(
            symbols
        )
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(f"{file.source}: cannot be read: {first_line(error)}") from None


@dataclass(frozen=True, slots=True)
class _Chunk:
    first_row: int  # 0-based
    ts_us: Ints
    table: pa.Table | None  # the other columns, where they are in memory already
    row_group: int = 0


class _Reader:
    def __init__(self, file: HistoryFile, *, from_us: int, to_us: int, is_one_of_several: bool) -> None:
        self.file, self.layout = file, file.layout
        self.from_us, self.to_us = from_us, to_us
        self.is_one_of_several = is_one_of_several
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.strays = self.first_stray = 0
        self.file_names: set[str] = set()
        self._parquet = pq.ParquetFile(file.of.open()) if file.of.is_parquet and file.recognised is None else None

    def read(self, symbols: Sequence[str]) -> ReadWindow:
        rows: list[Ints] = []
        times: list[Ints] = []
        tables: list[pa.Table] = []
        for chunk in self._chunks():
            inside = np.flatnonzero((chunk.ts_us >= self.from_us) & (chunk.ts_us < self.to_us))
            if len(inside):
                table = self._rest(chunk)
                found = self.file.recognised
                rows.append(inside + chunk.first_row + 1 if found is None else found.rows[inside])
                times.append(chunk.ts_us[inside])
                contiguous = inside[-1] - inside[0] + 1 == len(inside)
                tables.append(table.slice(inside[0], len(inside)) if contiguous else table.take(inside))
        empty = np.zeros(0, np.int64)
        row, ts_us = (np.concatenate(parts) if parts else empty for parts in (rows, times))
        table = pa.concat_tables(tables) if tables else None
        codes, names = self._symbols(table, row, symbols)
        # Only the cells of chosen symbols are looked at: another symbol's dirt is not this run's.
        keep = np.flatnonzero(codes >= 0)
        if table is not None and len(keep) < len(row):
            table = table.take(keep)
        row, ts_us, codes = row[keep], ts_us[keep], codes[keep]
        read = {name: self._numbers(table, column, row) for name, column in self.layout.values.items()}
        values = {name: found for name, found in read.items() if found is not None}
        columns = Columns(row, ts_us * 1000, codes, names, values)
        reach_us = (self.first_us or 0, self.last_us or 0)
        return ReadWindow(columns, reach_us[0] * 1000, reach_us[1] * 1000, self.strays, self.first_stray)

    def _chunks(self) -> Iterator[_Chunk]:
        if self._parquet is None:
            table = self._whole()
            yield self._chunk(0, table.column(self.layout.ts), table)
            return
        first_row = 0
        for number in range(self._parquet.num_row_groups):
            length = self._parquet.metadata.row_group(number).num_rows
            if length and not self._outside(number):
                ts = self._parquet.read_row_group(number, columns=[self.layout.ts]).column(0)
                yield self._chunk(first_row, ts, None, number)
            first_row += length

    def _whole(self) -> pa.Table:
        found = self.file.recognised
        return read_csv(self.file.of, self.layout) if found is None else found.table

    def _chunk(self, first_row: int, ts: pa.ChunkedArray, table: pa.Table | None, group: int = 0) -> _Chunk:
        ts_us = times(ts, first_row=first_row, source=self.file.source)
        is_sound = (ts_us >= _SOUND_US[0]) & (ts_us < _SOUND_US[1])
        if not is_sound.all():
            self.first_stray = self.first_stray or first_row + int(is_sound.argmin()) + 1
            self.strays += int(len(ts_us) - is_sound.sum())
        sound_us = ts_us[is_sound]
        if len(sound_us):
            self._saw(int(sound_us.min()), int(sound_us.max()))
        return _Chunk(first_row, ts_us, table, group)

    def _saw(self, first_us: int, last_us: int) -> None:
        self.first_us = first_us if self.first_us is None else min(self.first_us, first_us)
        self.last_us = last_us if self.last_us is None else max(self.last_us, last_us)

    def _outside(self, number: int) -> bool:
        """Whether the row group's own statistics say that it holds nothing of the window."""
        assert self._parquet is not None
        group = self._parquet.metadata.row_group(number)
        for index in range(group.num_columns):
            column = group.column(index)
            if column.path_in_schema == self.layout.ts and column.statistics is not None:
                low, high = column.statistics.min, column.statistics.max
                if column.statistics.null_count or not column.statistics.has_min_max or not hasattr(low, "tzinfo"):
                    return False
                first, last = (instants_us(pa.chunked_array([pa.array([bound])]))[0] for bound in (low, high))
                is_sound = first >= _SOUND_US[0] and last < _SOUND_US[1]  # else it is read to count them
                if is_sound and (first >= self.to_us or last < self.from_us):
                    self._saw(int(first), int(last))
                    return True
        return False

    def _rest(self, chunk: _Chunk) -> pa.Table:
        if chunk.table is not None:
            return chunk.table
        assert self._parquet is not None
        columns = [name for name in self.layout.wanted if name != self.layout.ts]
        return self._parquet.read_row_group(chunk.row_group, columns=columns)

    def _symbols(self, table: pa.Table | None, row: Ints, symbols: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
        """Per row the index into the chosen names, -1 where the row's symbol was not asked for."""
        source = self.file.source
        if self.layout.symbol is None:
            if len(symbols) != 1:
                raise UnnamedInstrument(f"{source}: it has no column 'symbol', so give exactly one symbol")
            return np.zeros(len(row), np.int64), require_known(symbols)
        if table is None:
            return np.zeros(0, np.int64), tuple(symbols)
        encoded = pc.dictionary_encode(table.column(self.layout.symbol).cast(pa.string()), null_encoding="encode")
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        spelled = encoded.dictionary.to_pylist()
        indices = encoded.indices.to_numpy(zero_copy_only=False)
        for code, name in enumerate(spelled):
            if name is None or not name.strip():
                raise InvalidInput(f"{source}: row {row[int((indices == code).argmax())]}: symbol is empty: fill it in")
        own = [canonical(name) for name in spelled]
        names = tuple(symbols) or tuple(dict.fromkeys(own))
        for name in () if self.is_one_of_several else names:
            if name not in own and name not in self._all_names():
                raise InvalidInput(f"{source}: there is no symbol {clipped(name)}{nearest(name, self._all_names())}")
        place = {name: code for code, name in enumerate(names)}
        return np.asarray([place.get(name, -1) for name in own], np.int64)[indices], names

    def _all_names(self) -> list[str]:
        """Every symbol of the whole file, read only when one was not found in the window."""
        if not self.file_names and self.layout.symbol is not None:
            table = self._parquet.read(columns=[self.layout.symbol]) if self._parquet else self._whole()
            names = pc.unique(table.column(self.layout.symbol).cast(pa.string())).to_pylist()
            self.file_names = {canonical(name) for name in names if name}
        return sorted(self.file_names)

    def _numbers(self, table: pa.Table | None, column: str, row: Ints) -> Floats | None:
        """The column as floats, NaN where empty; None for an optional column with nothing in it."""
        if table is None:
            return np.zeros(0)
        cells = table.column(column)
        optional = column in (self.layout.values.get("volume"), self.layout.values.get("open_interest"))
        if optional and cells.null_count == len(cells):
            return None
        try:
            return numbers_of(cells)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            index, cell = first_refused(cells, numbers_of)
            raise InvalidInput(
                f"{self.file.source}: row {row[index]}: {column} {clipped(cell)} is not a number: write rupees such as "
                "101.35"
            ) from None
