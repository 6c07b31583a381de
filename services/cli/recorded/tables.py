"""Trades, decisions and verdicts of a run as Parquet: money in paise, instants in nanoseconds since 1970 (UTC)."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from tradebus.engine.recording.decision_columns import DecisionPart
from tradebus.kernel.errors import InvalidInput

DECISION: Final = pyarrow.schema([
    ("ts_event_ns", pyarrow.int64()),
    *((name, pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))
      for name in ("user_id", "strategy", "symbol", "action", "reason")),
    ("price_paise", pyarrow.int64()),
])  # fmt: skip
VERDICT: Final = pyarrow.schema([
    ("ts_event_ns", pyarrow.int64()),
    *((name, pyarrow.string()) for name in ("user_id", "strategy", "symbol", "verdict", "rule")),
    ("quantity", pyarrow.int64()),
    ("detail", pyarrow.string()),
])  # fmt: skip


def write_decision_parts(parts: Iterable[DecisionPart], path: Path) -> None:
    """One row group for each part of the record."""
    with pyarrow.parquet.ParquetWriter(path, DECISION, compression="zstd") as writer:
        for part in parts:
            if len(part.ts_ns):
                writer.write_table(_decisions(part))


def write_rows(rows: Sequence[Sequence[Any]], schema: pyarrow.Schema, path: Path) -> None:
    """`rows` have the schema's columns in their order."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = []
    for column, field in zip(columns, schema, strict=True):
        plain = field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type
        made = pyarrow.array(column, plain)
        arrays.append(made if plain == field.type else made.dictionary_encode())
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), path, compression="zstd")


def rows_at(path: Path, *, symbol: str | None, from_ns: int, to_ns: int) -> list[dict[str, Any]]:
    """Rows with an instant in [from_ns, to_ns), of a symbol where one is given; only the row groups that may hold one
    are read. Raises InvalidInput where the file cannot be read."""
    wanted = [("ts_event_ns", ">=", from_ns), ("ts_event_ns", "<", to_ns)]
    if symbol is not None:
        wanted.append(("symbol", "==", symbol))  # type: ignore[arg-type]
    found: list[dict[str, Any]] = _table(path, filters=wanted).to_pylist()
    return found


def all_rows(path: Path) -> list[dict[str, Any]]:
    """Every row as a dictionary. Raises InvalidInput where the file cannot be read."""
    found: list[dict[str, Any]] = _table(path).to_pylist()
    return found


def prices_of(path: Path) -> Iterator[tuple[int, str, int]]:
    """(instant, symbol, price in paise) of every decision. Raises InvalidInput where the file cannot be read."""
    table = _table(path, columns=["ts_event_ns", "symbol", "price_paise"])
    yield from zip(*(column.to_pylist() for column in table.columns), strict=True)


def _table(path: Path, **options: Any) -> pyarrow.Table:
    try:
        return pyarrow.parquet.read_table(path, **options)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise InvalidInput(f"{path}: cannot be read: {error}") from error


def _decisions(part: DecisionPart) -> pyarrow.Table:
    def named(numbers: Any, texts: Sequence[str]) -> pyarrow.Array:
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array(numbers, pyarrow.int32()), pyarrow.array(texts))

    who = [named(part.sources, column) for column in zip(*part.names, strict=True)]
    columns = [pyarrow.array(part.ts_ns), *who, named(part.actions, part.texts), named(part.reasons, part.texts)]
    return pyarrow.Table.from_arrays([*columns, pyarrow.array(part.prices_paise)], schema=DECISION)
