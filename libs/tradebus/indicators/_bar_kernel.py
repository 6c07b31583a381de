"""Compiled steps of RSI, ATR and VWAP. Rules and seeding: `oscillators.py`, `session.py`. State rows begin all zero."""

import math

from numba import float64, int64, types

from tradebus.indicators._compile import FLOAT64S, INT64S, helper, kernel
from tradebus.indicators._series import Floats, Int64s

ROW = types.Array(float64, 1, "C")
ROWS = types.Array(float64, 2, "C")

RSI_WIDTH = 4  # values seen, the last value, average gain, average loss (sums until they are seeded)
ATR_WIDTH = 3  # candles seen, the last close, the average (a sum until it is seeded)
MEAN_WIDTH = 4  # price times weight, weight, open instant of the session, the same while a batch is looked through


@kernel(float64(ROW, float64, int64))
def rsi_step(state: Floats, value: float, length: int) -> float:
    if not math.isfinite(value):
        raise ValueError("a value is not finite")
    changes = int(state[0])
    change = value - state[1]
    state[0], state[1] = changes + 1, value
    if changes == 0:
        return math.nan
    gain, loss = max(change, 0.0), max(-change, 0.0)
    if changes <= length:
        state[2] += gain
        state[3] += loss
        if changes < length:
            return math.nan
        state[2] /= length
        state[3] /= length
    else:
        state[2] += (gain - state[2]) / length
        state[3] += (loss - state[3]) / length
    moved = state[2] + state[3]
    return float(100.0 * state[2] / moved) if moved > 0.0 else 50.0


@kernel(float64(ROW, float64, float64, float64, int64))
def atr_step(state: Floats, high: float, low: float, close: float, length: int) -> float:
    if not (math.isfinite(high) and math.isfinite(low) and low <= close <= high):
        raise ValueError("a candle's prices are not finite or its close is not between low and high")
    true_range = high - low
    if state[0] > 0:
        true_range = max(true_range, abs(high - state[1]), abs(low - state[1]))
    state[0] += 1
    state[1] = close
    if state[0] > length:
        state[2] += (true_range - state[2]) / length
        return float(state[2])
    state[2] += true_range
    if state[0] < length:
        return math.nan
    state[2] /= length
    return float(state[2])


@kernel(float64(ROW, float64, float64))
def mean_step(state: Floats, price: float, weight: float) -> float:
    """The mean of all prices since the row was cleared, by weight; NaN while no weight was seen."""
    if not math.isfinite(price) or not math.isfinite(weight) or weight < 0.0:
        raise ValueError("a price or volume is not finite, or a volume is negative")
    state[0] += price * weight
    state[1] += weight
    return float(state[0] / state[1]) if state[1] > 0.0 else math.nan


@kernel(int64(INT64S, FLOAT64S, int64, ROWS, ROW))
def rsi_run(rows: Int64s, values: Floats, length: int, states: Floats, out: Floats) -> int:
    for row in range(rows.shape[0]):
        if not 0 <= rows[row] < states.shape[0] or not math.isfinite(values[row]):
            return row
    for row in range(rows.shape[0]):
        out[row] = rsi_step(states[rows[row]], values[row], length)
    return -1


@kernel(int64(INT64S, FLOAT64S, FLOAT64S, FLOAT64S, int64, ROWS, ROW))
def atr_run(rows: Int64s, high: Floats, low: Floats, close: Floats, length: int, states: Floats, out: Floats) -> int:
    for row in range(rows.shape[0]):
        ordered = low[row] <= close[row] <= high[row] and math.isfinite(high[row]) and math.isfinite(low[row])
        if not 0 <= rows[row] < states.shape[0] or not ordered:
            return row
    for row in range(rows.shape[0]):
        out[row] = atr_step(states[rows[row]], high[row], low[row], close[row], length)
    return -1


@helper
def mean_refused(rows: Int64s, price: Floats, weight: Floats, opens: Int64s, states: Floats) -> int:
    """The first row that cannot be taken; -1 where there is none."""
    bad = -1
    for row in range(rows.shape[0]):
        sound = math.isfinite(price[row]) and math.isfinite(weight[row]) and weight[row] >= 0.0
        if not 0 <= rows[row] < states.shape[0] or not sound or float(opens[row]) < states[rows[row], 3]:
            bad = row
            break
        states[rows[row], 3] = float(opens[row])
    for row in range(rows.shape[0] if bad < 0 else bad):
        states[rows[row], 3] = states[rows[row], 2]
    return bad


@kernel(int64(INT64S, FLOAT64S, FLOAT64S, INT64S, ROWS, ROW))
def mean_run(rows: Int64s, price: Floats, weight: Floats, opens: Int64s, states: Floats, out: Floats) -> int:
    """A row of a later session begins its instrument's mean anew. A float64 holds an instant to a microsecond, which
    tells sessions apart."""
    bad = mean_refused(rows, price, weight, opens, states)
    if bad >= 0:
        return bad
    for row in range(rows.shape[0]):
        state, open_ns = states[rows[row]], float(opens[row])
        if open_ns > state[2]:
            state[0] = state[1] = 0.0
            state[2] = state[3] = open_ns
        out[row] = mean_step(state, price[row], weight[row])
    return -1
