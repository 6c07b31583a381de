"""The decisions of `ema_cross`, compiled: the same rules in the same order as `strategy`, whose page explains them."""

import math

from numba import float64, int64, types, void

from tradebus.indicators._compile import FLOAT64S, INT64S, helper, kernel
from tradebus.indicators._series import Floats
from tradebus.strategies.opinions import ENTER_LONG, ENTER_SHORT, EXIT, HOLD, Int64s

_INTS = types.Array(int64, 2, "C")
_INT_COLUMN = types.Array(int64, 1, "C", readonly=True)

STANCE, SINCE, OCCASION = range(3)  # of the state [slot]
STATE_WIDTH = 3
# Of the answers [row].
FLAT, FLAT_REASON, STOP, TARGET, OCCASION_OUT, LONG, SHORT, ORDER = range(8)
ANSWER_WIDTH = 8
# Reasons; those of three follow the order of the EMAs: below, equal, above.
NOT_READY = 0
IN_POSITION, OPPOSITE, NO_FRESH_CROSS, BELOW_ZERO, CROSS = range(1, 16, 3)


@helper
def levels(stance: int, close: int, stop_pct: float, reward: float) -> tuple[int, int]:
    """Stop and target of an entry; a stop of 0 where there is none that is positive, a target of 0 for none."""
    distance = math.ceil(max(stop_pct * close / 100.0, 1.0))
    stop = close - stance * distance
    if stop <= 0:
        return 0, 0
    if math.isnan(reward):
        return stop, 0
    return stop, max(close + stance * max(1, math.floor(reward * distance + 0.5)), 0)


@kernel(void(INT64S, _INT_COLUMN, _INT_COLUMN, FLOAT64S, FLOAT64S, int64, float64, float64, _INTS, _INTS))
def decide(
    slots: Int64s, closes: Int64s, closes_ns: Int64s, fast: Floats, slow: Floats, window: int, stop_pct: float,
    reward: float, state: Int64s, answers: Int64s,
) -> None:  # fmt: skip
    """Fills `answers`, which begin all zero, row by row. `reward` is NaN where there is no target."""
    for row in range(slots.shape[0]):
        mine, answer = state[slots[row]], answers[row]
        answer[FLAT_REASON], answer[ORDER] = NOT_READY, -1
        answer[OCCASION_OUT] = 1  # the reason stands, whatever was taken
        if math.isnan(fast[row]) or math.isnan(slow[row]):
            continue
        before = mine[STANCE]
        stance = 1 if fast[row] > slow[row] else (-1 if fast[row] < slow[row] else before)
        if stance == before:
            mine[SINCE] += 1
        else:  # no entry on a stance whose cross was not seen
            mine[OCCASION] = 0 if before == 0 else closes_ns[row]
            mine[STANCE], mine[SINCE] = stance, 1
        answer[ORDER], answer[OCCASION_OUT] = stance + 1, mine[OCCASION]
        answer[LONG] = EXIT if stance == -1 else HOLD
        answer[SHORT] = EXIT if stance == 1 else HOLD
        if mine[OCCASION] == 0 or mine[SINCE] > window:
            answer[FLAT_REASON] = NO_FRESH_CROSS + stance + 1
            continue
        stop, target = levels(stance, closes[row], stop_pct, reward)
        if stop == 0:
            answer[FLAT_REASON] = BELOW_ZERO + stance + 1
            continue
        answer[FLAT] = ENTER_LONG if stance > 0 else ENTER_SHORT
        answer[FLAT_REASON] = CROSS + stance + 1
        answer[STOP], answer[TARGET] = stop, target
