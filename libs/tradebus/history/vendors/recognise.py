"""A vendor's file as the table the feed reads, and in words what was taken for what.

    file ─► text cells ─► roles by name (headers) ─► times as UTC (moments) ─► bar's end to its start ─► Recognised
    clean file ─► typed columns (typed) ─────────────────────────────────────┘

What a row's values must obey is not decided here: `tradebus.history.columns` does, for every file alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tradebus.history.columns import DAYS_ARE_NOT_TRADED, Ints
from tradebus.history.layout import Layout
from tradebus.history.sources import SourceFile
from tradebus.history.vendors.headers import BARS, bhavcopy_of, contract_columns, roles_of
from tradebus.history.vendors.moments import IST, Moments, moments_of
from tradebus.history.vendors.objects import cells_of_json
from tradebus.history.vendors.reading import FileReading
from tradebus.history.vendors.texts import cells_of, text_of
from tradebus.history.vendors.typed import typed_of
from tradebus.kernel.errors import InvalidInput
from tradebus.symbols.contract_names import contract_of_name

_MINUTE_US = 60_000_000
_VALUES = ("price", *BARS, "volume", "open_interest")
_EXCHANGE = re.compile(r"^(NSE|BSE|NFO|BFO|INDICES):", re.IGNORECASE)
_SUFFIX = re.compile(r"(\.(NS|BO|NSE|NFO|NSE_IDX)|-EQ)$", re.IGNORECASE)
_GROUPED = r"(?<=\d),(?=\d{2,3}(\D|$))"


@dataclass(frozen=True, slots=True)
class Recognised:
    """`table` has the columns of `layout`, times as UTC, numbers as such or as text; `rows` is each row's number in the
    file; `said` the lines for a person."""

    table: pa.Table
    layout: Layout
    rows: Ints
    said: tuple[str, ...]


def recognise(file: SourceFile, reading: FileReading) -> Recognised:
    """Raises InvalidInput in one line that says what would help."""
    typed = typed_of(file, reading)
    if typed is None:
        return _by_cells(file, reading)
    columns = {role: typed.table.column(own) for role, own in typed.roles.items()}
    if "symbol" in columns:
        columns["symbol"] = _plain_symbols(columns["symbol"])
    rows = np.arange(1, len(typed.table) + 1)
    return _made(columns, rows, names=typed.names, roles=typed.roles, moments=typed.moments, reading=reading)


def _by_cells(file: SourceFile, reading: FileReading) -> Recognised:
    source = str(file)
    if file.is_parquet:
        frame = _cells_of_table(pq.read_table(file.open()))
    else:
        text = text_of(file.content(), source=source)
        frame = cells_of_json(text, source=source) if file.name.endswith(".json") else cells_of(text, source=source)
    names = [str(name) for name in frame.columns]
    bhavcopy = bhavcopy_of(names)
    if bhavcopy:
        raise InvalidInput(f"{source}: it is {bhavcopy}, {DAYS_ARE_NOT_TRADED}")
    roles = roles_of(names, reading.columns, source=source)
    if not len(frame):
        raise InvalidInput(f"{source}: the file holds no row: give one with data")
    moments = moments_of(_times(frame, roles), timezone=reading.timezone or IST, source=source)
    if not moments.has_time:
        raise InvalidInput(f"{source}: its times are days without a time of day, {DAYS_ARE_NOT_TRADED}")
    _require_one_contract(frame, roles, source=source)
    columns = {role: _numbers(frame[own]) for role, own in roles.items() if role in _VALUES}
    if "symbol" in roles:
        columns["symbol"] = pa.array(frame[roles["symbol"]].map(_plain_symbol), pa.string())
    rows = frame.index.to_numpy(np.int64)
    return _made(columns, rows, names=names, roles=roles, moments=moments, reading=reading)


def _made(
    columns: Mapping[str, pa.Array | pa.ChunkedArray], rows: Ints, *, names: list[str], roles: Mapping[str, str],
    moments: Moments, reading: FileReading,
) -> Recognised:  # fmt: skip
    is_ticks = "price" in roles
    starts_us = moments.ts_us - (_MINUTE_US if reading.stamps == "end" and not is_ticks else 0)
    values = [role for role in _VALUES if role in columns]
    made = {"ts": pa.array(starts_us).cast(pa.timestamp("us", "UTC"))}
    made |= {role: columns[role] for role in (*values, "symbol") if role in columns}
    layout = Layout("ts", "symbol" if "symbol" in roles else None, {role: role for role in values})
    return Recognised(pa.table(made), layout, rows, _said(names, roles, moments, reading, is_ticks=is_ticks))


def _plain_symbols(cells: pa.ChunkedArray) -> pa.Array:
    encoded = pc.dictionary_encode(cells.cast(pa.string())).combine_chunks()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    plain = [_plain_symbol(name) for name in encoded.dictionary.to_pylist()]
    return pa.array(plain, pa.string()).take(encoded.indices)


def _require_one_contract(frame: pd.DataFrame, roles: Mapping[str, str], *, source: str) -> None:
    """Raises InvalidInput where the rows are of contracts that other columns than the symbol tell apart: all of them
    would be one instrument."""
    telling = contract_columns([str(name) for name in frame.columns])
    if not telling:
        return
    held = frame[[*telling, *([roles["symbol"]] if "symbol" in roles else [])]].drop_duplicates()
    symbols = held[roles["symbol"]] if "symbol" in roles else pd.Series("", index=held.index)
    is_named = symbols.nunique() == len(held) and all(_is_contract(name) for name in symbols.unique())
    if not is_named and (len(held) > 1 or "symbol" in roles):
        raise InvalidInput(
            f"{source}: its rows are of {len(held):,} contract{'s' if len(held) > 1 else ''}, which "
            f"{', '.join(telling)} tell apart and no symbol does: give a column 'symbol' that names each, such as "
            "NIFTY26JUN24000CE"
        )


def _is_contract(name: str) -> bool:
    try:
        return contract_of_name(_plain_symbol(str(name)).upper()) is not None
    except InvalidInput:
        return False


def _cells_of_table(table: pa.Table) -> pd.DataFrame:
    """A Parquet table as text; an index that pandas kept beside the columns is one of them here."""
    columns: dict[str, pd.Series] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        pair = re.fullmatch(r"\('([^']*)', '([^']*)'\)", name)
        text = column.cast(pa.string()).to_pandas().fillna("").astype(str)
        columns[pair[1] if pair else name] = text
        if pair and pair[2]:
            columns.setdefault("symbol", pd.Series(pair[2], index=text.index))
    frame = pd.DataFrame(columns)
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame


def _times(frame: pd.DataFrame, roles: Mapping[str, str]) -> "pd.Series[str]":
    if "ts" in roles:
        return frame[roles["ts"]]
    day = frame[roles["date"]].str.strip()
    return day + " " + frame[roles["time"]].str.strip() if "time" in roles else day


def _numbers(cells: "pd.Series[str]") -> pa.Array:
    """Text without the commas between thousands (1,00,000 too), null where empty."""
    bare = cells.str.strip().str.replace(_GROUPED, "", regex=True)
    return pa.array(bare.where(bare.ne("") & ~bare.str.lower().isin(["nan", "null", "-"]), None), pa.string())


def _plain_symbol(name: str) -> str:
    """`NSE:RELIANCE-EQ` and `RELIANCE.NS` as RELIANCE."""
    return _SUFFIX.sub("", _EXCHANGE.sub("", name.strip()))


def _said(
    names: list[str], roles: Mapping[str, str], moments: Moments, reading: FileReading, *, is_ticks: bool
) -> tuple[str, ...]:
    taken = ", ".join(f"{role} = {own or 'the first'}" if role != own else role for role, own in roles.items())
    zone = "the offset they carry" if moments.is_zoned and not moments.written.startswith("epoch") else (
        "UTC instants" if moments.is_zoned else f"times of {reading.timezone or 'India (IST)'}"
    )  # fmt: skip
    stamp = "ticks" if is_ticks else f"bars of a minute stamped at their {reading.stamps or 'start'}"
    unused = [name or "(no name)" for name in names if name not in roles.values()]
    return (
        f"columns: {taken}",
        f"times: {moments.written}, {zone}; {stamp}; another way: --timezone, --stamps, --columns",
        f"not used: {', '.join(unused) if unused else 'nothing'}",
    )
