"""Cells of a file as instants and numbers, whatever type the file gave them."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tradebus.history.columns import Floats, Ints
from tradebus.kernel.errors import InvalidInput
from tradebus.kernel.time import IST_OFFSET_SECONDS

_US = 1_000_000
_WIDTH_MAX = 120  # characters of a cell or of a library's error that are shown
_EXAMPLE = "write it as 2024-01-31 09:15:00"


def times(ts: pa.ChunkedArray, *, first_row: int, source: str) -> Ints:
    """Microseconds since the UTC epoch. Raises InvalidInput naming the first cell that is no time."""
    if ts.null_count:
        row = first_row + int(ts.is_null().to_numpy().argmax()) + 1
        raise InvalidInput(f"{source}: row {row}: ts is empty: {_EXAMPLE}")
    try:
        return instants_us(ts)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        require_one_zone(ts, first_row=first_row, source=source)
        index, cell = first_refused(ts, instants_us)
        raise InvalidInput(
            f"{source}: row {first_row + index + 1}: ts {clipped(cell)} is not a time: {_EXAMPLE}"
        ) from None


def require_one_zone(ts: pa.ChunkedArray, *, first_row: int, source: str) -> None:
    """Raises InvalidInput naming the first text that carries an offset where the one before all others has none, or the
    other way round: each is a time, so neither is the wrong one."""
    if not (pa.types.is_string(ts.type) or pa.types.is_large_string(ts.type)):
        return
    is_time = pc.match_substring_regex(ts, r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d").to_numpy()
    zoned = pc.match_substring_regex(ts, r":\d\d(\.\d+)?\s?(Z|[+-]\d\d:?(\d\d)?)$").to_numpy()
    if not is_time.all():  # that one is named
        return
    if zoned.any() and not zoned.all():
        row = int((zoned != zoned[0]).argmax())
        has, where = ("has an", "has none") if zoned[row] else ("has no", "has one")
        raise InvalidInput(
            f"{source}: row {first_row + row + 1}: ts {clipped(ts[row].as_py())} {has} offset where row "
            f"{first_row + 1}, {clipped(ts[0].as_py())}, {where}: write all times in one zone"
        )


def instants_us(ts: pa.ChunkedArray) -> Ints:
    """A time without a zone is Indian time."""
    if pa.types.is_string(ts.type) or pa.types.is_large_string(ts.type):
        try:
            ts = ts.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            ts = ts.cast(pa.timestamp("us", "UTC"))
    elif not (pa.types.is_timestamp(ts.type) or pa.types.is_date(ts.type)):
        raise pa.ArrowInvalid("not a time")
    zone = ts.type.tz if pa.types.is_timestamp(ts.type) else None
    stored = ts.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64()).to_numpy()
    return np.asarray(stored if zone else stored - IST_OFFSET_SECONDS * _US, np.int64)


def numbers_of(cells: pa.ChunkedArray) -> Floats:
    if pa.types.is_boolean(cells.type) or pa.types.is_temporal(cells.type):
        raise pa.ArrowInvalid("not a number")
    if pa.types.is_string(cells.type):
        # 21,500.25 and 21,50,000.25; any other comma is no number.
        grouped = pc.match_substring_regex(cells, r"^-?\d{1,3}(,\d{2,3})*,\d{3}(\.\d+)?$")
        cells = pc.if_else(grouped, pc.replace_substring(cells, ",", ""), cells)
    return np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def first_refused(cells: pa.ChunkedArray, convert: Callable[[pa.ChunkedArray], object]) -> tuple[int, object]:
    """The first cell that `convert` refuses, found by halving."""
    low, high = 0, len(cells)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(cells.slice(low, middle - low))
            low = middle
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            high = middle
    return low, cells[low].as_py()


def first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:_WIDTH_MAX]


def clipped(cell: object) -> str:
    """A cell for an error line: quoted, of a long one the beginning."""
    text = repr(cell)
    return text if len(text) <= _WIDTH_MAX else f"{text[:_WIDTH_MAX]}…"
