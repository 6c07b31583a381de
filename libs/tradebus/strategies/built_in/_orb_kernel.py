"""The decisions of `orb`, compiled: the rules of `orb` and `orb_setups`, whose pages explain them, in their order.

A put-call ratio is not among what is looked at: where a feed has option chains, the plain strategy decides.
"""

import math
from typing import Any

import numba
from numba import float64, int64, types, void

from tradebus.contracts.records import Records
from tradebus.indicators._compile import CANDLES, FLOAT64S, INT64S, helper, kernel
from tradebus.indicators._series import Floats
from tradebus.strategies.built_in.orb_setups import MOMENTUM as MOMENTUM_RANK
from tradebus.strategies.built_in.orb_setups import REVERSAL as REVERSAL_RANK
from tradebus.strategies.opinions import ENTER_LONG, ENTER_SHORT, EXIT, OPINION, Int64s

_FLOATS = types.Array(float64, 2, "C")
_INTS = types.Array(int64, 2, "C")
_OPINIONS = types.Array(numba.from_dtype(OPINION), 1, "C")

# Of the state [slot]. RANGE_* are the opening range, BEYOND the closes in a row above (+) or below (-) it, LAST_* the
# candle before and MOTHER_* the one before that, of the same day (TODAY: how many there are); PUSHED and the sums are
# those of the rings, which hold the volumes and ranges of the last `AVERAGE` candles.
(
    OPEN, RANGE_HIGH, RANGE_LOW, RANGE_COUNT, BEYOND, TODAY, LAST_OPEN, LAST_HIGH, LAST_LOW, LAST_CLOSE, MOTHER_HIGH,
    MOTHER_LOW, PUSHED, VOLUMES, RANGES, RECENT,
) = range(16)  # fmt: skip
STATE_WIDTH = 16
FAST, SLOW, ATR, VWAP = range(4)  # of what the indicators say [row]; NaN where one has nothing to say
# Parameters.
(
    RANGE_NS, RANGE_MIN, WINDOW, VOLUME_MULTIPLE, RANGE_MULTIPLE, AVERAGE, SQUEEZE, SQUEEZE_RATIO, LOCATION_ATR,
    MOTHER_ATR, MOMENTUM_ATR, FLOOR_ATR, REWARD, LAST_NS,
) = range(14)  # fmt: skip

# Setups by number; ENGULFING to STAR are the reversals.
ORB, INSIDE_BAR, ENGULFING, HAMMER, STAR, MOMENTUM = range(6)
NAMES = ("orb_breakout", "inside_bar_breakout", "engulfing", "hammer", "shooting_star", "momentum")
# Notes of a setup by number: a breakout's by its test and squeeze, a reversal's by its level.
_ORB_NOTE, _INSIDE_NOTE, _REVERSAL_NOTE, _MOMENTUM_NOTE = 0, 4, 6, 12
_RANGE = "close {0:.2f} beyond {1:.2f}, "
_TESTS = ("volume {2:.1f}x", "no volume in series, range {2:.1f}x")
_SQUEEZED = ("", ", out of a squeeze")
_NOTES = (
    *(f"orb_breakout: {_RANGE}{test}{squeezed}" for test in _TESTS for squeezed in _SQUEEZED),
    *(f"inside_bar_breakout: close {{0:.2f}} beyond mother bar {{1:.2f}}{squeezed}" for squeezed in _SQUEEZED),
    *(f"{name}: at {level} {{1:.2f}}" for name in NAMES[ENGULFING : STAR + 1] for level in ("vwap", "ema_slow")),
    "momentum: strong candle with EMA fast/slow",
)
# Reasons by number.
BEFORE, FORMING, NOT_READY, LATE, NO_SETUP, IN_POSITION, UNCONFIRMED, NO_MANS_LAND = 0, 1, 2, 3, 4, 5, 6, 8
AGAINST_TREND, IN_SQUEEZE, LOCKED, BELOW_ZERO, OUTRANKED, ENTER, OPPOSITE = 11, 12, 13, 19, 25, 31, 44
REASONS = (
    "before_session", "opening_range_forming", "indicators_not_ready", "late_session", "no_setup", "in_position",
    *(f"orb_breakout_unconfirmed: {test}" for test in _TESTS),
    *(f"no_mans_land: {name} away from VWAP and EMA" for name in NAMES[ENGULFING : STAR + 1]),
    "momentum_against_trend: strong candle against EMA fast/slow", "squeeze: momentum needs an open range",
    *(f"trade_locked: {name}" for name in NAMES),
    *(f"stop_below_zero: {name}" for name in NAMES),
    *(f"in_position: opposite {name} does not outrank it" for name in NAMES),
    *_NOTES,
    *(f"opposite_{note}" for note in _NOTES),
)  # fmt: skip


@helper
def _begin_day(state: Int64s, open_ns: int) -> None:
    if state[OPEN] != open_ns:
        state[OPEN] = open_ns
        state[RANGE_COUNT] = state[BEYOND] = state[TODAY] = 0


@helper
def _follow_range(state: Int64s, ts_open_ns: int, high: int, low: int, close: int, range_ns: int) -> None:
    """Widens the opening range while it forms; counts the closes beyond it after that."""
    if state[OPEN] <= ts_open_ns < state[OPEN] + range_ns:
        if state[RANGE_COUNT] == 0:
            state[RANGE_HIGH], state[RANGE_LOW] = high, low
        state[RANGE_HIGH], state[RANGE_LOW] = max(state[RANGE_HIGH], high), min(state[RANGE_LOW], low)
        state[RANGE_COUNT] += 1
    elif state[RANGE_COUNT]:
        if close > state[RANGE_HIGH]:
            state[BEYOND] = max(state[BEYOND], 0) + 1
        elif close < state[RANGE_LOW]:
            state[BEYOND] = min(state[BEYOND], 0) - 1
        else:
            state[BEYOND] = 0


@helper
def _remember(state: Int64s, candle: Any, volumes: Int64s, ranges: Int64s, parameters: Floats) -> None:
    average, squeeze, pushed = int(parameters[AVERAGE]), int(parameters[SQUEEZE]), state[PUSHED]
    place, span = pushed % average, candle.high_paise - candle.low_paise
    if pushed >= squeeze:
        state[RECENT] -= ranges[(pushed - squeeze) % average]
    if pushed >= average:
        state[VOLUMES] -= volumes[place]
        state[RANGES] -= ranges[place]
    volumes[place], ranges[place] = candle.volume, span
    state[VOLUMES] += candle.volume
    state[RANGES] += span
    state[RECENT] += span
    state[PUSHED] = pushed + 1
    state[MOTHER_HIGH], state[MOTHER_LOW] = state[LAST_HIGH], state[LAST_LOW]
    state[LAST_OPEN], state[LAST_HIGH] = candle.open_paise, candle.high_paise
    state[LAST_LOW], state[LAST_CLOSE] = candle.low_paise, candle.close_paise
    state[TODAY] += 1


@helper
def _participation(state: Int64s, span: int, volume: int, parameters: Floats) -> tuple[int, float, bool]:
    """Which test (0: volume, 1: range), the multiple, and whether it is enough."""
    average = int(parameters[AVERAGE])
    if state[VOLUMES] + volume == 0:
        multiple = span * average / state[RANGES] if state[RANGES] else 0.0
        return 1, multiple, multiple >= parameters[RANGE_MULTIPLE]
    multiple = volume * average / state[VOLUMES] if state[VOLUMES] else math.inf
    return 0, multiple, multiple >= parameters[VOLUME_MULTIPLE]


@helper
def _inside_bar(state: Int64s, candle: Any, atr: float, parameters: Floats) -> int:
    """+1 or -1 where the close leaves the mother bar of an inside bar, else 0."""
    if state[TODAY] < 2:
        return 0
    mother = state[MOTHER_HIGH] - state[MOTHER_LOW]
    is_within = state[LAST_HIGH] <= state[MOTHER_HIGH] and state[LAST_LOW] >= state[MOTHER_LOW]
    if not is_within or state[LAST_HIGH] - state[LAST_LOW] >= mother or mother < parameters[MOTHER_ATR] * atr:
        return 0
    if candle.close_paise > state[MOTHER_HIGH] and candle.close_paise > candle.open_paise:
        return 1
    return -1 if candle.close_paise < state[MOTHER_LOW] and candle.close_paise < candle.open_paise else 0


@helper
def _is_pin(body: int, tail: int, nose: int, whole: int) -> bool:
    return body > 0 and tail >= 2 * body and 100 * tail >= 60 * whole and 100 * nose <= 15 * whole


@helper
def _reversal(state: Int64s, candle: Any) -> tuple[int, int, int]:
    """(setup, side, extreme); setup -1 where there is none."""
    opened, close, high, low = candle.open_paise, candle.close_paise, candle.high_paise, candle.low_paise
    body = abs(close - opened)
    if state[TODAY] and body > abs(state[LAST_CLOSE] - state[LAST_OPEN]):
        was = state[LAST_CLOSE] - state[LAST_OPEN]
        if was < 0 and close > opened and opened <= state[LAST_CLOSE] and close >= state[LAST_OPEN]:
            return ENGULFING, 1, min(state[LAST_LOW], low)
        if was > 0 and close < opened and opened >= state[LAST_CLOSE] and close <= state[LAST_OPEN]:
            return ENGULFING, -1, max(state[LAST_HIGH], high)
    upper, lower = high - max(opened, close), min(opened, close) - low
    if _is_pin(body, lower, upper, high - low):
        return HAMMER, 1, low
    if _is_pin(body, upper, lower, high - low):
        return STAR, -1, high
    return -1, 0, 0


@helper
def _level_near(candle: Any, seen: Floats, parameters: Floats) -> tuple[int, float]:
    """(0: VWAP, 1: slow EMA; its value), -1 where the candle came near neither."""
    reach = parameters[LOCATION_ATR] * seen[ATR]
    for number in range(2):
        level = seen[VWAP] if number == 0 else seen[SLOW]
        if not math.isnan(level) and max(0.0, level - candle.high_paise, candle.low_paise - level) <= reach:
            return number, level
    return -1, 0.0


@helper
def _strong(candle: Any) -> int:
    whole, body = candle.high_paise - candle.low_paise, abs(candle.close_paise - candle.open_paise)
    if whole <= 0 or 100 * body <= 60 * whole:
        return 0
    rising = 1 if candle.close_paise > candle.open_paise else -1
    away = candle.high_paise - candle.close_paise if rising > 0 else candle.close_paise - candle.low_paise
    return rising if 100 * away <= 20 * whole else 0


@helper
def _scan(state: Int64s, candle: Any, seen: Floats, parameters: Floats, opinion: Any) -> tuple[int, int, int, int]:
    """(setup, side, natural stop, note) of the first that holds; setup -1 and the first refusal's reason as note."""
    refusal, numbers = NO_SETUP, opinion.numbers
    span, close = candle.high_paise - candle.low_paise, candle.close_paise
    average, squeeze = int(parameters[AVERAGE]), int(parameters[SQUEEZE])
    squeezed = state[RECENT] * average < parameters[SQUEEZE_RATIO] * state[RANGES] * squeeze
    numbers[0] = close / 100.0
    beyond = state[BEYOND]
    if state[RANGE_COUNT] >= parameters[RANGE_MIN] and beyond != 0 and abs(beyond) <= parameters[WINDOW]:
        test, multiple, is_enough = _participation(state, span, candle.volume, parameters)
        numbers[2] = multiple
        if is_enough:
            edge = state[RANGE_HIGH] if beyond > 0 else state[RANGE_LOW]
            numbers[1] = edge / 100.0
            stop = state[RANGE_LOW] if beyond > 0 else state[RANGE_HIGH]
            return ORB, 1 if beyond > 0 else -1, stop, _ORB_NOTE + 2 * test + squeezed
        refusal = UNCONFIRMED + test
    side = _inside_bar(state, candle, seen[ATR], parameters)
    if side != 0:
        numbers[1] = (state[MOTHER_HIGH] if side > 0 else state[MOTHER_LOW]) / 100.0
        return INSIDE_BAR, side, state[MOTHER_LOW] if side > 0 else state[MOTHER_HIGH], _INSIDE_NOTE + squeezed
    setup, side, extreme = _reversal(state, candle)
    if setup >= 0:
        near, level = _level_near(candle, seen, parameters)
        if near >= 0:
            numbers[1] = level / 100.0
            return setup, side, extreme, _REVERSAL_NOTE + 2 * (setup - ENGULFING) + near
        refusal = NO_MANS_LAND + setup - ENGULFING if refusal == NO_SETUP else refusal
    side = _strong(candle)
    if side != 0 and span >= parameters[MOMENTUM_ATR] * seen[ATR]:
        trend = (1 if seen[FAST] > seen[SLOW] else 0) - (1 if seen[FAST] < seen[SLOW] else 0)
        if side == trend and not squeezed:
            return MOMENTUM, side, candle.low_paise if side > 0 else candle.high_paise, _MOMENTUM_NOTE
        if refusal == NO_SETUP:
            refusal = AGAINST_TREND if side != trend else IN_SQUEEZE
    return -1, 0, 0, refusal


@helper
def _confidence(setup: int, side: int, note: int, seen: Floats) -> float:
    """Added up in the order of the plain strategy: sums of floats depend on it."""
    if setup == MOMENTUM:
        return 0.45
    base = 0.70 if setup == ORB else 0.60 if setup == INSIDE_BAR else 0.55 if setup == ENGULFING else 0.50
    if setup <= INSIDE_BAR and note % 2 == 1:
        base += 0.10
    trend = (1 if seen[FAST] > seen[SLOW] else 0) - (1 if seen[FAST] < seen[SLOW] else 0)
    return base + 0.05 if trend == side else base


@helper
def _enter(opinion: Any, setup: int, side: int, close: int, stop_wanted: int, atr: float, parameters: Floats) -> None:
    distance = math.ceil(max(float((close - stop_wanted) * side), parameters[FLOOR_ATR] * atr, 1.0))
    stop = close - side * distance
    if stop <= 0:
        opinion.flat_reason = BELOW_ZERO + setup
        return
    opinion.flat = ENTER_LONG if side > 0 else ENTER_SHORT
    opinion.stop_paise = stop
    opinion.target_paise = max(close + side * max(1, math.floor(parameters[REWARD] * distance + 0.5)), 0)


@helper
def _whatever_the_position(opinion: Any, reason: int) -> None:
    opinion.spent_reason = opinion.flat_reason = opinion.long_reason = opinion.short_reason = reason


@helper
def _judge(state: Int64s, candle: Any, ends_ns: int, seen: Floats, parameters: Floats, opinion: Any) -> None:
    setup, side, stop, note = _scan(state, candle, seen, parameters, opinion)
    _whatever_the_position(opinion, IN_POSITION)
    is_late = candle.ts_close_ns > ends_ns - int(parameters[LAST_NS])
    if setup < 0:
        opinion.spent_reason = opinion.flat_reason = LATE if is_late else note
        return
    opinion.confidence = _confidence(setup, side, note, seen)
    opinion.rank = REVERSAL_RANK if ENGULFING <= setup <= STAR else MOMENTUM_RANK if setup == MOMENTUM else setup + 1
    if side > 0:
        opinion.short, opinion.short_reason = EXIT, OPPOSITE + note
    else:
        opinion.long, opinion.long_reason = EXIT, OPPOSITE + note
    opinion.outranked_reason = OUTRANKED + setup
    if is_late:
        opinion.spent_reason = opinion.flat_reason = LATE
        return
    opinion.occasion_ns, opinion.flat_reason, opinion.locked_reason = candle.ts_close_ns, ENTER + note, LOCKED + setup
    _enter(opinion, setup, side, candle.close_paise, stop, seen[ATR], parameters)


@kernel(void(INT64S, CANDLES, INT64S, INT64S, _FLOATS, FLOAT64S, _INTS, _INTS, _INTS, _OPINIONS))
def decide(
    slots: Int64s, candles: Records, opens_ns: Int64s, closes_ns: Int64s, indicators: Floats, parameters: Floats,
    state: Int64s, volumes: Int64s, ranges: Int64s, opinions: Records,
) -> None:  # fmt: skip
    """Fills `opinions`, which begin all zero, row by row."""
    range_ns = int(parameters[RANGE_NS])
    for row in range(slots.shape[0]):
        slot, candle, seen, opinion = slots[row], candles[row], indicators[row], opinions[row]
        own = state[slot]
        opinion.row = row
        _begin_day(own, opens_ns[row])
        _follow_range(own, candle.ts_open_ns, candle.high_paise, candle.low_paise, candle.close_paise, range_ns)
        is_ready = not (math.isnan(seen[FAST]) or math.isnan(seen[SLOW]) or math.isnan(seen[ATR]))
        if candle.ts_open_ns < own[OPEN]:
            _whatever_the_position(opinion, BEFORE)
        elif candle.ts_open_ns < own[OPEN] + range_ns:
            _whatever_the_position(opinion, FORMING)
        elif not is_ready or own[PUSHED] < int(parameters[AVERAGE]):
            _whatever_the_position(opinion, NOT_READY)
        else:
            _judge(own, candle, closes_ns[row], seen, parameters, opinion)
        _remember(own, candle, volumes[slot], ranges[slot], parameters)
