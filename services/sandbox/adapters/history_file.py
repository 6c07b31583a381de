"""Real prices instead of generated ones: one-minute candles or ticks of a CSV or Parquet file, as paths of underlyings.

    ts, open, high, low, close [, symbol]        ts, price [, symbol]        times without a zone are Indian

A candle becomes four points: its open, the two extremes (the low first where it rose), its close. Between points the
value moves evenly; before the first and after the last it stands still.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from services.sandbox.domain.instruments.shape import Ints
from services.sandbox.domain.prices.paths import ValuePath
from services.sandbox.domain.prices.pricing import Floats
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST_OFFSET_NS, NANOSECONDS_PER_SECOND

_ALIASES = {
    "NIFTY50": "NIFTY", "NIFTY 50": "NIFTY", "NIFTY BANK": "BANKNIFTY", "NIFTYBANK": "BANKNIFTY",
    "NIFTY FIN SERVICE": "FINNIFTY",
}  # fmt: skip
_POINTS_SECONDS = (0, 15, 35, 59)
_BARS = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class _Columns:
    ts: str
    prices: tuple[str, ...]
    symbol: str | None


def read_paths(path: Path, *, symbol: str | None = None) -> Mapping[str, ValuePath]:
    """By underlying. `symbol` says what a file without a column of that name is about. Raises InvalidInput."""
    try:
        table, columns = _read(path)
        at_ns = _instants(table.column(columns.ts))
        prices = np.stack([_numbers(table.column(name)) for name in columns.prices], axis=1)
        names = _names(table, columns, symbol, path)
    except (pa.ArrowException, OSError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise InvalidInput(f"history: {path} cannot be read: {first}") from None
    if not len(at_ns):
        raise InvalidInput(f"history: {path} has no row")
    bad = np.flatnonzero(~(np.isfinite(prices) & (prices > 0)).all(axis=1))
    if len(bad):
        raise InvalidInput(f"history: {path}: row {bad[0] + 1}: a price is missing or not above 0: correct the row")
    return {str(name): _path_of(at_ns[names == name], prices[names == name]) for name in np.unique(names)}


def _read(path: Path) -> tuple[pa.Table, _Columns]:
    name = path.name.lower()
    if not path.is_file():
        raise InvalidInput(f"history: there is no file {path}")
    if name.endswith((".parquet", ".pq")):
        table = pq.read_table(path)
    elif name.endswith((".csv", ".csv.gz")):
        table = pacsv.read_csv(path)
    else:
        raise InvalidInput(f"history: {path} is neither .parquet nor .csv (or .csv.gz)")
    own = {column.strip().lower(): column for column in table.column_names}
    wanted = ("price",) if "price" in own and "close" not in own else _BARS
    missing = [column for column in ("ts", *wanted) if column not in own]
    if missing:
        there = ", ".join(table.column_names)
        raise InvalidInput(f"history: {path} has no column {missing[0]!r}; it has {there}")
    return table, _Columns(own["ts"], tuple(own[column] for column in wanted), own.get("symbol"))


def _instants(cells: pa.ChunkedArray) -> Ints:
    """UTC nanoseconds; a time without a zone is Indian."""
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        cells = cells.cast(pa.timestamp("us"))
    zone = cells.type.tz if pa.types.is_timestamp(cells.type) else None
    stored = cells.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).to_numpy()
    found: Ints = np.asarray(stored, np.int64) * 1000
    return found if zone else found - IST_OFFSET_NS


def _numbers(cells: pa.ChunkedArray) -> Floats:
    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def _names(table: pa.Table, columns: _Columns, symbol: str | None, path: Path) -> npt.NDArray[np.object_]:
    if columns.symbol is None:
        if not symbol:
            raise InvalidInput(f"history: {path} has no column 'symbol': set TRADEBUS_SANDBOX_HISTORY_SYMBOL")
        return np.full(len(table), _canonical(symbol), object)
    spelled = pc.dictionary_encode(table.column(columns.symbol).cast(pa.string())).combine_chunks()
    spelled = spelled.chunk(0) if isinstance(spelled, pa.ChunkedArray) else spelled
    if spelled.null_count:
        raise InvalidInput(f"history: {path}: a symbol is empty: fill it in")
    own = np.array([_canonical(name) for name in spelled.dictionary.to_pylist()], object)
    found: npt.NDArray[np.object_] = own[spelled.indices.to_numpy(zero_copy_only=False)]
    return found


def _canonical(name: str) -> str:
    plain = " ".join(name.upper().split()).removesuffix(".NS")
    return _ALIASES.get(plain, plain)


def _path_of(at_ns: Ints, prices: Floats) -> ValuePath:
    """Rupees of candles or ticks into a path of paise."""
    order = np.argsort(at_ns, kind="stable")
    at_ns, paise = at_ns[order], prices[order] * 100.0
    if paise.shape[1] == 1:
        return ValuePath(at_ns, paise[:, 0])
    opened, high, low, close = paise.T
    rose = close >= opened
    points = np.stack([opened, np.where(rose, low, high), np.where(rose, high, low), close], axis=1)
    offsets = np.array(_POINTS_SECONDS) * NANOSECONDS_PER_SECOND
    return ValuePath((at_ns[:, None] + offsets).reshape(-1), points.reshape(-1))
