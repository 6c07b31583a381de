"""A session that trades a compiled strategy's opinions: `strategies.lane.resolver`, then accounting, compiled."""

from numba import int64, void

from tradebus.engine.bulk._trade import (
    AT_HARD_END,
    BARS,
    BLOCKED,
    CLOSED,
    CLOSED_NS,
    COUNTS,
    END_ROW,
    ENTERED_RANK,
    ENTERED_SIDE,
    FIRST_ROW,
    FLAT,
    HELD_SIDE,
    INT8S,
    INT32S,
    LOCKED_UNTIL_NS,
    ON_SIGNAL,
    OPEN,
    OPENED_NS,
    OUT,
    TABLE,
    TAKEN_NS,
    WARM_ROW,
    Array,
    Bars,
    asked,
    booked_close,
    followed,
    must_be_flat_ns,
    was_held,
)
from tradebus.indicators._compile import INT64S, inlined, lean_kernel
from tradebus.strategies.opinions import ENTER_LONG, ENTER_SHORT, EXIT, HOLD


@inlined
def resolved(
    held: int, flat: int, against: int, rank: int, occasion: int, at_ns: int, session: Array, lock_ns: int, lowest: int
) -> int:
    """What the session does, of `flat` or of `against` (the opinion of the side it holds): a code of ACTIONS."""
    if held == 0:
        if occasion == 0 or occasion == session[TAKEN_NS] or (flat != ENTER_LONG and flat != ENTER_SHORT):
            return HOLD
        if at_ns < session[LOCKED_UNTIL_NS]:
            return HOLD
        session[TAKEN_NS], session[LOCKED_UNTIL_NS] = occasion, at_ns + lock_ns
        session[ENTERED_SIDE], session[ENTERED_RANK] = 1 if flat == ENTER_LONG else -1, rank
        return flat
    if against != EXIT:
        return HOLD
    if rank != 0:
        own = session[ENTERED_RANK] if session[ENTERED_SIDE] == held else lowest
        if not (rank < own or (rank == own and rank == 1)):
            return HOLD
    session[LOCKED_UNTIL_NS] = at_ns + lock_ns
    return EXIT


@lean_kernel(
    void(
        BARS, TABLE, INT64S, INT64S, INT64S, INT32S, TABLE, INT8S, INT8S, INT8S, INT8S, INT64S, INT64S, INT64S, int64,
        int64, OUT, COUNTS, COUNTS, OUT, OUT, OUT,
    )
)  # fmt: skip
def account_opinions(
    bars: Bars, days: Array, terms: Array, close_ns: Array, price: Array, row_bar: Array, rows: Array, flat: Array,
    long: Array, short: Array, rank: Array, stop: Array, target: Array, occasion: Array, lock_ns: int, lowest: int,
    trades: Array, daily: Array, counts: Array, spans: Array, new: Array, work: Array,
) -> None:  # fmt: skip
    """All days of a compiled strategy's opinions, a row per candle of each day and its warm-up."""
    held, session, count = work[0], work[1], 0
    for number in range(days.shape[0]):
        day = days[number]
        session[:] = 0
        for row in range(rows[number, WARM_ROW], rows[number, FIRST_ROW]):
            if flat[row] != HOLD or long[row] == EXIT or short[row] == EXIT:
                side = was_held(spans, count, close_ns[row])
                against = long[row] if side > 0 else short[row]
                resolved(side, flat[row], against, rank[row], occasion[row], close_ns[row], session, lock_ns, lowest)
        session[LOCKED_UNTIL_NS] = session[ENTERED_SIDE] = 0
        made, state, until_ns = 0, FLAT, 0
        for row in range(rows[number, FIRST_ROW], rows[number, END_ROW]):
            at_ns = close_ns[row]
            if state == OPEN:
                late = until_ns < at_ns
                reason = AT_HARD_END if late else 0
                state = followed(bars, held, day, terms, counts, until_ns if late else at_ns, reason)
            seen = state != FLAT and held[OPENED_NS] < at_ns and (state == OPEN or held[CLOSED_NS] >= at_ns)
            sees = held[HELD_SIDE] if seen else 0
            against = long[row] if sees > 0 else short[row]
            does = resolved(sees, flat[row], against, rank[row], occasion[row], at_ns, session, lock_ns, lowest)
            if state == OPEN and (does == EXIT or at_ns >= until_ns):
                state = followed(
                    bars, held, day, terms, counts, at_ns, ON_SIGNAL if does == EXIT else AT_HARD_END
                )  # fmt: skip
            if state == CLOSED:
                made = booked_close(held, day, number, session, trades, daily, counts, new, made)
            if does != ENTER_LONG and does != ENTER_SHORT:
                continue
            if state == OPEN:
                counts[BLOCKED] += 1
                continue
            state = asked(
                bars, held, day, terms, session, counts, 1 if does == ENTER_LONG else -1, price[row], stop[row],
                target[row], row_bar[row], at_ns,
            )  # fmt: skip
            until_ns = must_be_flat_ns(held[OPENED_NS], day)
        if state == OPEN:
            state = followed(bars, held, day, terms, counts, until_ns, AT_HARD_END)
        if state == CLOSED:
            made = booked_close(held, day, number, session, trades, daily, counts, new, made)
        spans, new, count = new, spans, made
