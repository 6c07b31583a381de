"""The decisions of `ema_20_50`, compiled: the same rules in the same order as `ema_20_50`, whose page explains them."""

import math

from numba import float64, int64, types, void

from tradebus.indicators._compile import FLOAT64S, INT64S, helper, kernel
from tradebus.indicators._series import Floats
from tradebus.strategies.opinions import ENTER_LONG, ENTER_SHORT, EXIT, HOLD, Int64s

_FLOATS = types.Array(float64, 2, "C")
_INTS = types.Array(int64, 2, "C")

STANCE, SINCE, OCCASION, SEEN = range(4)  # of the state [slot]; SEEN: how many slow EMAs
STATE_WIDTH = 4
# Of the answers [row].
FLAT, FLAT_REASON, STOP, TARGET, OCCASION_OUT, LONG, SHORT, ORDER = range(8)
ANSWER_WIDTH = 8
CONFIDENCE, RSI, SLOPE = range(3)  # of the figures [row]
FIGURE_WIDTH = 3
FAST, SLOW, RSI_IN, ATR, VWAP = range(5)  # of what the indicators say [row]
INDICATORS = 5
CLOSE, TS_CLOSE, OPENS, ENDS = range(4)  # of the candles [row]
CANDLE_WIDTH = 4
# Reasons; those of three follow the order of the EMAs: below, equal, above.
NOT_READY, EARLY, LATE = 0, 1, 2
IN_POSITION, OPPOSITE, NO_FRESH_CROSS, NO_TREND, NEUTRAL, STRETCHED, WRONG_SIDE, BELOW_ZERO, CROSS = range(3, 30, 3)
# Parameters.
(
    WINDOW, SLOPE_CANDLES, SLOPE_MIN, RSI_NEUTRAL, RSI_STRETCHED, VWAP_FILTER, STOP_ATR, REWARD, FIRST_NS, LAST_NS
) = range(10)  # fmt: skip


@helper
def _follow_cross(state: Int64s, fast: float, slow: float, ts_close_ns: int) -> None:
    stance = 1 if fast > slow else (-1 if fast < slow else state[STANCE])
    if stance == state[STANCE]:
        state[SINCE] += 1
        return
    # No entry on a stance whose cross was not seen.
    state[OCCASION] = 0 if state[STANCE] == 0 else ts_close_ns
    state[STANCE], state[SINCE] = stance, 1


@helper
def _refusal(state: Int64s, candle: Int64s, seen: Floats, slope_atr: float, parameters: Floats) -> int:
    """The reason of the first filter that stands against an entry, -1 where none does."""
    stance = int(state[STANCE])
    order = stance + 1
    if state[OCCASION] == 0 or state[SINCE] > parameters[WINDOW]:
        return NO_FRESH_CROSS + order
    if candle[TS_CLOSE] < candle[OPENS] + int(parameters[FIRST_NS]):
        return EARLY
    if candle[TS_CLOSE] > candle[ENDS] - int(parameters[LAST_NS]):
        return LATE
    if slope_atr * stance < parameters[SLOPE_MIN]:
        return NO_TREND + order
    strength = seen[RSI_IN] if stance > 0 else 100.0 - seen[RSI_IN]
    if strength <= parameters[RSI_NEUTRAL]:
        return NEUTRAL + order
    if strength >= parameters[RSI_STRETCHED]:
        return STRETCHED + order
    beyond_vwap = (candle[CLOSE] - seen[VWAP]) * stance
    if parameters[VWAP_FILTER] > 0.0 and not math.isnan(seen[VWAP]) and beyond_vwap <= 0.0:
        return WRONG_SIDE + order
    return -1


@helper
def _enter(answer: Int64s, figure: Floats, stance: int, close: int, seen: Floats, parameters: Floats) -> None:
    distance = math.ceil(max(parameters[STOP_ATR] * seen[ATR], 1.0))
    stop = close - stance * distance
    if stop <= 0:
        answer[FLAT_REASON] = BELOW_ZERO + stance + 1
        return
    if not math.isnan(parameters[REWARD]):
        target = close + stance * max(1, math.floor(parameters[REWARD] * distance + 0.5))
        answer[TARGET] = max(target, 0)
    answer[FLAT] = ENTER_LONG if stance > 0 else ENTER_SHORT
    answer[FLAT_REASON] = CROSS + stance + 1
    answer[STOP] = stop
    strength = seen[RSI_IN] if stance > 0 else 100.0 - seen[RSI_IN]
    share = (strength - parameters[RSI_NEUTRAL]) / (parameters[RSI_STRETCHED] - parameters[RSI_NEUTRAL])
    figure[CONFIDENCE] = 0.5 + 0.3 * min(1.0, max(0.0, share))


@kernel(void(INT64S, _INTS, _FLOATS, FLOAT64S, _INTS, _FLOATS, _INTS, _FLOATS))
def decide(
    slots: Int64s, candles: Int64s, indicators: Floats, parameters: Floats, state: Int64s, slow_seen: Floats,
    answers: Int64s, figures: Floats,
) -> None:  # fmt: skip
    """Fills `answers` and `figures`, which begin all zero, row by row."""
    back = int(parameters[SLOPE_CANDLES])
    for row in range(slots.shape[0]):
        slot, answer, seen = slots[row], answers[row], indicators[row]
        answer[FLAT_REASON], answer[ORDER] = NOT_READY, -1
        answer[OCCASION_OUT] = 1  # the reason stands, whatever was taken
        if math.isnan(seen[FAST]) or math.isnan(seen[SLOW]) or math.isnan(seen[RSI_IN]) or math.isnan(seen[ATR]):
            continue
        count = state[slot, SEEN]
        place = count % (back + 1)
        slow_seen[slot, place] = seen[SLOW]
        state[slot, SEEN] = count + 1
        _follow_cross(state[slot], seen[FAST], seen[SLOW], candles[row, TS_CLOSE])
        if count < back:
            continue
        slope = seen[SLOW] - slow_seen[slot, (place + 1) % (back + 1)]
        slope_atr = slope / seen[ATR] if seen[ATR] != 0.0 else 0.0
        stance = state[slot, STANCE]
        answer[ORDER], answer[OCCASION_OUT] = stance + 1, state[slot, OCCASION]
        answer[LONG] = EXIT if stance == -1 else HOLD
        answer[SHORT] = EXIT if stance == 1 else HOLD
        figures[row, RSI], figures[row, SLOPE] = seen[RSI_IN], slope_atr
        reason = _refusal(state[slot], candles[row], seen, slope_atr, parameters)
        if reason >= 0:
            answer[FLAT_REASON] = reason
        else:
            _enter(answer, figures[row], stance, candles[row, CLOSE], seen, parameters)
