"""`ema_cross` in bulk, compiled: averages of whole days, their crosses, then accounting.

Between two crosses nothing is decided, so that a position is followed from one to the next at once.
"""

import math

import numpy as np
from numba import float64, int64, void

from tradebus.engine.bulk._trade import (
    AT_HARD_END,
    BARS,
    BLOCKED,
    CLOSED,
    CLOSED_NS,
    COUNTS,
    END_ROW,
    FIRST_ROW,
    FLAT,
    FLOATS_OUT,
    HELD_SIDE,
    INT32S,
    ON_SIGNAL,
    OPEN,
    OPENED_NS,
    OUT,
    SPANS,
    TABLE,
    WARM_ROW,
    Array,
    Bars,
    asked,
    booked_close,
    followed,
    must_be_flat_ns,
    was_held,
)
from tradebus.indicators._compile import FLOAT64S, INT64S, inlined, lean_kernel


@inlined
def cross_levels(stance: int, close: int, stop_pct: float, reward: float) -> tuple[int, int]:
    """Stop and target of an entry of `ema_cross`, as its own kernel has them; 0 for none."""
    distance = math.ceil(max(stop_pct * close / 100.0, 1.0))
    stop = close - stance * distance
    if stop <= 0 or math.isnan(reward):
        return max(stop, 0), 0
    return stop, max(close + stance * max(1, math.floor(reward * distance + 0.5)), 0)


@lean_kernel(void(INT64S, TABLE, int64, int64, int64, FLOATS_OUT))
def averages(closes: Array, places: Array, first: int, end: int, length: int, out: Array) -> None:
    """The EMAs of days [first, end), each from nothing at the first row of its warm-up, one after the other into `out`.
    `places` [day]: where its rows begin and end in `closes`. NaN until there are `length` values. As `ema_step`."""
    share, at = 2.0 / (length + 1.0), 0
    for number in range(first, end):
        start, stop = places[number, 0], places[number, 1]
        value = 0.0
        for row in range(start, min(start + length, stop)):
            value += closes[row]
            out[at] = math.nan
            at += 1
        if stop - start < length:
            continue
        value /= length
        out[at - 1] = value
        for row in range(start + length, stop):
            value += (closes[row] - value) * share
            out[at] = value
            at += 1


@inlined
def _stance(fast: Array, slow: Array, row: int) -> int:
    """0 also where one of the two is NaN."""
    return (1 if fast[row] > slow[row] else 0) - (1 if fast[row] < slow[row] else 0)


@inlined
def next_turn(fast: Array, slow: Array, row: int, stop: int, shift: int, stance: int) -> int:
    """The first row from `row` on with the opposite stance, `stop` where there is none; eight are looked at together.
    `shift` leads from a row to its place among the averages."""
    over, under = (slow, fast) if stance < 0 else (fast, slow)
    at, end = np.uint64(row + shift), np.uint64(stop + shift)
    while at + np.uint64(8) <= end:
        met = False
        for step in range(8):
            met |= over[at + np.uint64(step)] < under[at + np.uint64(step)]
        if met:
            break
        at += np.uint64(8)
    while at < end and not over[at] < under[at]:
        at += np.uint64(1)
    return int(at) - shift


@inlined
def crossed_before(fast: Array, slow: Array, start: int, first: int, window: int) -> tuple[int, int]:
    """The stance with which a day begins at row `first`, and the row of its cross where that is fewer than `window`
    rows before; -1 where it is not, or was not seen."""
    row = first - 1
    while row >= start and _stance(fast, slow, row) == 0 and not math.isnan(slow[row]):
        row -= 1
    if row < start:
        return 0, -1
    stance, cross = _stance(fast, slow, row), row
    while row > max(start, first - window - 1):
        row -= 1
        before = _stance(fast, slow, row)
        if before == -stance:
            return stance, cross
        if before == stance:
            cross = row
        elif math.isnan(slow[row]) or math.isnan(fast[row]):
            break
    return stance, -1


@inlined
def is_untaken(close_ns: Array, cross: int, first: int, spans: Array, count: int) -> bool:
    """Whether a cross of the warm-up was not entered on when the day's warm-up was replayed, for a position was held at
    each of its candles."""
    for row in range(cross, first):  # noqa: SIM110 -- numba knows no generators
        if was_held(spans, count, close_ns[row]) == 0:
            return False
    return True


@lean_kernel(
    void(
        BARS, TABLE, INT64S, INT64S, INT64S, INT32S, TABLE, int64, int64, FLOAT64S, FLOAT64S, int64, float64, float64,
        OUT, COUNTS, COUNTS, SPANS, COUNTS, OUT,
    )
)  # fmt: skip
def account_crosses(
    bars: Bars, days: Array, terms: Array, close_ns: Array, price: Array, row_bar: Array, rows: Array, first: int, end:
    int, fast: Array, slow: Array, window: int, stop_pct: float, reward: float, trades: Array, daily: Array, counts:
    Array, spans: Array, kept: Array, work: Array,
) -> None:  # fmt: skip
    """Days [first, end) of `ema_cross`. `fast` and `slow` have these days' rows with their warm-up, one day after the
    other; `spans` [.., 3] and `kept` [1] carry the last day's positions over, `work` is lent."""
    held, session, offset = work[0], work[1], 0
    for number in range(first, end):
        day = days[number]
        start, begin, stop_row = rows[number, WARM_ROW], rows[number, FIRST_ROW], rows[number, END_ROW]
        shift = offset - start  # from a row to its place among the averages
        offset += stop_row - start
        session[:] = 0
        stance, cross = crossed_before(fast, slow, start + shift, begin + shift, window)
        cross -= shift  # a row again
        fresh = cross >= start and is_untaken(close_ns, cross, begin, spans, kept[0])
        kept[0], state, until_ns, made = 0, FLAT, 0, 0
        row = begin - 1
        while True:
            row += 1
            if not fresh and stance != 0:
                row = next_turn(fast, slow, row, stop_row, shift, stance)
            if row >= stop_row:
                break
            now = _stance(fast, slow, row + shift)
            if now != 0 and now != stance:
                fresh, cross, stance = stance != 0, row, now
            elif not fresh:
                continue
            at_ns = close_ns[row]
            if state == OPEN:
                late = until_ns < at_ns
                against = stance == -held[HELD_SIDE] and held[OPENED_NS] < at_ns
                reason = AT_HARD_END if late else ON_SIGNAL if against else AT_HARD_END if at_ns >= until_ns else 0
                state = followed(bars, held, day, terms, counts, until_ns if late else at_ns, reason)
            if state == CLOSED:
                made = booked_close(held, day, number, session, trades, daily, counts, spans, made)
            fresh = fresh and row - cross < window
            if not fresh:
                continue
            if state != FLAT and held[OPENED_NS] < at_ns and (state == OPEN or held[CLOSED_NS] >= at_ns):
                continue
            stop, target = cross_levels(stance, price[row], stop_pct, reward)
            if stop == 0:
                continue
            fresh = False
            if state == OPEN:
                counts[BLOCKED] += 1
                continue
            state = asked(
                bars, held, day, terms, session, counts, stance, price[row], stop, target, row_bar[row], at_ns
            )  # fmt: skip
            until_ns = must_be_flat_ns(held[OPENED_NS], day)
        if state == OPEN:
            state = followed(bars, held, day, terms, counts, until_ns, AT_HARD_END)
        if state == CLOSED:
            made = booked_close(held, day, number, session, trades, daily, counts, spans, made)
        kept[0] = made
