"""Compiled steps of the averages. Rules and seeding: `moving.py`. State rows are float64, all zero to begin with."""

import math

from numba import float64, int64, types

from tradebus.indicators._compile import FLOAT64S, INT64S, helper, kernel
from tradebus.indicators._series import Floats, Int64s

ROW = types.Array(float64, 1, "C")
ROWS = types.Array(float64, 2, "C")
RUN = int64(INT64S, FLOAT64S, int64, ROWS, ROW)

EMA_WIDTH = 2  # values seen; their sum until the average exists, then the average


def sma_width(length: int) -> int:
    """Values seen, sum of the ring, ring of `length` values."""
    return 2 + length


@helper
def refused(rows: Int64s, values: Floats, instruments: int) -> int:
    """The first row with an instrument outside the state or a value that is not finite; -1 where there is none."""
    for row in range(rows.shape[0]):
        if not 0 <= rows[row] < instruments or not math.isfinite(values[row]):
            return row
    return -1


@kernel(float64(ROW, float64, int64))
def ema_step(state: Floats, value: float, length: int) -> float:
    if not math.isfinite(value):
        raise ValueError("a value is not finite")
    state[0] += 1
    if state[0] > length:
        state[1] += (value - state[1]) * (2.0 / (length + 1.0))
        return float(state[1])
    state[1] += value
    if state[0] < length:
        return math.nan
    state[1] /= length
    return float(state[1])


@kernel(float64(ROW, float64, int64))
def sma_step(state: Floats, value: float, length: int) -> float:
    """The sum is taken afresh once a turn of the ring, so that rounding does not build up."""
    if not math.isfinite(value):
        raise ValueError("a value is not finite")
    seen = int(state[0])
    place = seen % length
    state[1] += value - (state[2 + place] if seen >= length else 0.0)
    state[2 + place] = value
    state[0] = seen + 1
    if place == length - 1:
        state[1] = 0.0
        for other in range(length):
            state[1] += state[2 + other]
    return float(state[1] / length) if seen + 1 >= length else math.nan


@kernel(float64(ROW, float64, int64))
def relative_step(state: Floats, value: float, length: int) -> float:
    """`value` over the mean of the `length` values before it; NaN until there are so many, or where they are all 0."""
    mean = state[1] / length if state[0] >= length else 0.0
    sma_step(state, value, length)
    return float(value / mean) if mean > 0.0 else math.nan


@kernel(RUN)
def ema_run(rows: Int64s, values: Floats, length: int, states: Floats, out: Floats) -> int:
    bad = refused(rows, values, states.shape[0])
    if bad < 0:
        for row in range(rows.shape[0]):
            out[row] = ema_step(states[rows[row]], values[row], length)
    return bad


@kernel(RUN)
def sma_run(rows: Int64s, values: Floats, length: int, states: Floats, out: Floats) -> int:
    bad = refused(rows, values, states.shape[0])
    if bad < 0:
        for row in range(rows.shape[0]):
            out[row] = sma_step(states[rows[row]], values[row], length)
    return bad


@kernel(RUN)
def relative_run(rows: Int64s, values: Floats, length: int, states: Floats, out: Floats) -> int:
    bad = refused(rows, values, states.shape[0])
    if bad < 0:
        for row in range(rows.shape[0]):
            out[row] = relative_step(states[rows[row]], values[row], length)
    return bad
