"""What all indicators share: the result of a batch, the state of many series, the checks at the edge.

An indicator is one compiled step over a row of float64 state. The live class calls the step; a bank runs it over pairs
(instrument, value) with one row per instrument; the batch function is a bank of one. So live and batch agree to the
last bit, whatever the order of calls.

Inside the kernels "not ready" is NaN; no NaN leaves them unmarked. A value that is not finite is refused with
ValueError before it touches any state.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


class IndicatorSeries(NamedTuple):
    """One figure per row that came in. `values` is NaN where `ready` is false: ask `ready` first."""

    values: Floats
    ready: npt.NDArray[np.bool_]


def positive(length: int) -> int:
    """`length`, if it is one. Raises ValueError otherwise."""
    if length < 1:
        raise ValueError(f"a length of {length} is not positive")
    return length


def as_floats(values: npt.ArrayLike) -> Floats:
    """A contiguous float64 array, without a copy where it is one."""
    return np.ascontiguousarray(values, np.float64)


def as_rows(instruments: npt.ArrayLike, *columns: Floats) -> Int64s:
    """The instrument column as int64. Raises ValueError where it holds no integers or the columns differ in length."""
    given = np.asarray(instruments)
    if given.size and given.dtype.kind not in "iu":
        raise ValueError("instruments are integers")
    rows = np.ascontiguousarray(given, np.int64)
    if any(column.shape != rows.shape for column in columns) or rows.ndim != 1:
        raise ValueError(f"{[rows.shape, *(column.shape for column in columns)]}: every column needs the same rows")
    return rows


def series(values: Floats, refused_row: int) -> IndicatorSeries:
    """The result of a kernel that filled `values`, or the error of the row it refused (-1: none)."""
    if refused_row >= 0:
        raise ValueError(
            f"row {refused_row} cannot be taken: an unknown instrument, a figure that is not finite, a negative "
            "volume, a close outside low … high, or an earlier session"
        )
    return IndicatorSeries(values, ~np.isnan(values))
