"""What becomes of one entry in bulk mode, compiled into the kernels beside this file.

    asked for ─► risk's rules and size ─► order ─► fills in time, or not ─► stop, target ─► exit ─► closed, booked

A tick is looked at only in a minute whose low or high reaches a level, and where an order is on its way. Every rule is
the engine's (`risk`, `execution`, `trading.matching.paper`), of one session, one symbol and orders that fill in one
piece; a property test holds them equal. Money in paise, instants in nanoseconds. numba does not notice a change of
this file: whoever changes it removes `__pycache__` here.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import float64, int8, int32, int64, types

from tradebus.indicators._compile import inlined

Array = Any


class Bars(NamedTuple):
    """The minutes of a market, and at the end of a day that broke off its last price: arrays [bar], of ticks [tick]."""

    low: Array
    high: Array
    first_ns: Array  # of its first tick
    last_ns: Array  # of its last one
    first_price: Array
    tick_start: Array  # [bar + 1]
    tick_ns: Array
    tick_price: Array


INT8S = types.Array(int8, 1, "C", readonly=True)
INT32S = types.Array(int32, 1, "C", readonly=True)
_INTS, _WIDE = types.Array(int32, 1, "C"), types.Array(int64, 1, "C")  # in a tuple, writable is no readonly
BARS = types.NamedTuple(  # type: ignore[no-untyped-call]
    (_INTS, _INTS, _WIDE, _WIDE, _INTS, _INTS, _WIDE, _INTS), Bars
)
TABLE = types.Array(int64, 2, "C", readonly=True)
OUT = types.Array(int64, 2, "C")
COUNTS = types.Array(int64, 1, "C")
FLOATS_OUT = types.Array(float64, 1, "C")
SPANS = OUT

# Of the terms: what holds for the whole run.
(
    LATENCY_NS, SLIPPAGE_HUNDREDTHS, GUARD, TIMEOUT_NS, COOLDOWN_NS, TRADES_MAX, STREAK_MAX, LOTS, RISKED_PAISE,
    LEVERAGED_PAISE, EXPOSED_PAISE, CAPITAL_PAISE, MARGIN_PCT, LOTS_MAX,
) = range(14)  # fmt: skip
TERMS_WIDTH = 14
# Of a day: when it trades, its contract's terms, and the rates of its charges in billionths.
(
    FIRST_BAR, END_BAR, ENTRY_START_NS, ENTRY_END_NS, HARD_END_NS, WINDOW_START_NS, WINDOW_END_NS, WINDOW2_START_NS,
    WINDOW2_END_NS, LOT, TICK, QUANTITY_MAX, BROKERAGE, BROKERAGE_CAP, STT_BUY, STT_SELL, STAMP_BUY, STAMP_SELL,
    TRANSACTION, IPFT, SEBI, GST, OPEN_NS, ORDER_MAX,
) = range(24)  # fmt: skip
DAY_WIDTH = 24
# Of a trade.
DAY, SIDE, QUANTITY, ENTRY_NS, ENTRY_PAISE, EXIT_NS, EXIT_PAISE, CHARGES_PAISE, NET_PAISE, REASON = range(10)
TRADE_WIDTH = 10
STOPPED, AT_TARGET, ON_SIGNAL, AT_HARD_END = range(1, 5)  # reasons
# Of the counts.
TRADES, WINNERS, GAINED_PAISE, LOST_PAISE, BLOCKED, UNFILLED, LEFT_OPEN, TOO_LARGE, CHARGED_PAISE = range(9)
COUNTS_WIDTH = 9
# Of a position under way.
(
    HELD_SIDE, HELD_QUANTITY, OPENED_NS, OPENED_PAISE, STOP, TARGET, STOP_FROM_NS, AT_BAR, AT_TICK, CLOSED_NS,
    CLOSED_PAISE, WHY,
) = range(12)  # fmt: skip
HELD_WIDTH = 12

# Of a session's day.
TRADES_TODAY, STREAK, LAST_TRADE_NS, TAKEN_NS, LOCKED_UNTIL_NS, ENTERED_SIDE, ENTERED_RANK = range(7)
WORK_WIDTH = max(HELD_WIDTH, 7)  # of the rows a kernel is lent: a position's, a session's
WARM_ROW, FIRST_ROW, END_ROW = range(3)  # of a day's rows: its warm-up begins, it begins, it ends
SPANS_MAX = 2048  # trades of one day: one per candle at most
FLAT, OPEN, CLOSED = range(3)

_BILLIONTHS = 1_000_000_000
_SCALE = 1_000_000  # hundredths of a basis point
_NEVER = 1 << 62
VALUE_MAX = 4_000_000_000_000  # of one order, in paise: charges of more would not be exact in 64 bits
MINUTE_NS = 60_000_000_000


@inlined
def worsened(price: int, tick: int, slippage: int, buy: bool) -> int:
    """The price moved by the slippage and rounded to the tick, both against us."""
    if buy:
        return -(-price * (_SCALE + slippage) // (_SCALE * tick)) * tick
    return max(tick, price * (_SCALE - slippage) // (_SCALE * tick) * tick)


@inlined
def _part(value: int, rate: int) -> int:
    return (2 * value * rate + _BILLIONTHS) // (2 * _BILLIONTHS)


@inlined
def charges(value: int, day: Array, buy: bool) -> int:
    """Of an order that was filled in one piece."""
    brokerage = day[BROKERAGE_CAP]
    if day[BROKERAGE] >= 0:
        brokerage = min(brokerage, _part(value, day[BROKERAGE]))
    exchange, fund, sebi = _part(value, day[TRANSACTION]), _part(value, day[IPFT]), _part(value, day[SEBI])
    tax = _part(value, day[STT_BUY] if buy else day[STT_SELL])
    stamp = _part(value, day[STAMP_BUY] if buy else day[STAMP_SELL])
    return int(brokerage + tax + exchange + fund + sebi + stamp + _part(brokerage + exchange + fund + sebi, day[GST]))


@inlined
def rounded(price: int, tick: int) -> int:
    return (2 * price + tick) // (2 * tick) * tick


@inlined
def quantity_of(price: int, stop: int, day: Array, terms: Array) -> int:
    """Whole lots that sizing asks for and every limit leaves; 0 for none."""
    lot = day[LOT]
    wanted = terms[LOTS] * lot if terms[LOTS] > 0 else terms[RISKED_PAISE] // abs(price - stop)
    margin = max(1, -(-price * terms[MARGIN_PCT] // 100))
    wanted = min(wanted, max(0, terms[LEVERAGED_PAISE]) // price, max(0, terms[EXPOSED_PAISE]) // price)
    wanted = min(wanted, max(0, terms[CAPITAL_PAISE]) // margin, day[QUANTITY_MAX])
    if terms[LOTS_MAX] > 0:
        wanted = min(wanted, terms[LOTS_MAX] * lot)
    return int(max(0, wanted) // lot * lot)


@inlined
def next_tick(bars: Bars, bar: int, end_bar: int, from_ns: int) -> tuple[int, int]:
    """Bar and place of the first tick at or after an instant, from `bar` on; (end_bar, 0) where there is none."""
    while bar < end_bar and bars.last_ns[bar] < from_ns:
        bar += 1
    if bar == end_bar:
        return end_bar, 0
    place = bars.tick_start[bar]
    if bars.first_ns[bar] < from_ns:
        while bars.tick_ns[place] < from_ns:
            place += 1
    return bar, place


@inlined
def quiet_until(bars: Bars, bar: int, end_bar: int, until_ns: int, side: int, stop: int, target: int) -> int:
    """A bar up to which, from `bar` on, no level is reached and the instant has not come: eight are looked at together,
    which the processor does in a few instructions."""
    below, above = (stop, target) if side > 0 else (target, stop)
    at = np.uint64(bar)
    while at + np.uint64(8) <= np.uint64(end_bar):
        met = False
        for step in range(8):
            one = at + np.uint64(step)
            met |= (bars.low[one] <= below) | (bars.high[one] >= above) | (bars.first_ns[one] >= until_ns)
        if met:
            break
        at += np.uint64(8)
    return int(at)


@inlined
def watch(
    bars: Bars, held: Array, end_bar: int, until_ns: int, with_target: bool,
) -> int:  # fmt: skip
    """Follows a position up to an instant: the first tick that reaches its stop or its target is where it then is at.
    Gives STOPPED, AT_TARGET or 0."""
    side, stop, target = held[HELD_SIDE], held[STOP], held[TARGET]
    if not with_target or target == 0:
        target = _NEVER if side > 0 else -_NEVER
    for bar in range(quiet_until(bars, held[AT_BAR], end_bar, until_ns, side, stop, target), end_bar):
        if bars.first_ns[bar] >= until_ns:
            held[AT_BAR] = max(held[AT_BAR], bar - 1)  # the instant lies in that one
            return 0
        if side > 0:
            if bars.low[bar] > stop and bars.high[bar] < target:
                continue
        elif bars.high[bar] < stop and bars.low[bar] > target:
            continue
        for place in range(max(held[AT_TICK], bars.tick_start[bar]), bars.tick_start[bar + 1]):
            at_ns, price = bars.tick_ns[place], bars.tick_price[place]
            if at_ns >= until_ns:
                held[AT_BAR], held[AT_TICK] = bar, place
                return 0
            if at_ns >= held[STOP_FROM_NS] and (price <= stop if side > 0 else price >= stop):
                held[AT_BAR], held[AT_TICK] = bar, place
                return STOPPED
            if price >= target if side > 0 else price <= target:
                held[AT_BAR], held[AT_TICK] = bar, place
                return AT_TARGET
    held[AT_BAR] = max(held[AT_BAR], end_bar - 1)
    return 0


@inlined
def entered(
    bars: Bars, held: Array, day: Array, terms: Array, side: int, price: int, bar: int, at_ns: int,
) -> bool:  # fmt: skip
    """Whether the limit order of `at_ns` is filled in time; `held` is then where and at what."""
    tick, buy, latency = day[TICK], side > 0, terms[LATENCY_NS]
    if buy:
        limit = max(tick, price * (_SCALE + terms[GUARD]) // (_SCALE * tick) * tick)
    else:
        limit = max(tick, -(-price * (_SCALE - terms[GUARD]) // (_SCALE * tick)) * tick)
    end_bar, gone_ns = day[END_BAR], at_ns + terms[TIMEOUT_NS] + latency
    bar, place = next_tick(bars, bar, end_bar, max(at_ns + latency, at_ns + 1))
    while bar < end_bar:
        now_ns = bars.tick_ns[place] if place != bars.tick_start[bar] else bars.first_ns[bar]
        if now_ns >= gone_ns:
            return False
        now = bars.tick_price[place] if place != bars.tick_start[bar] else bars.first_price[bar]
        if now <= limit if buy else now >= limit:
            met = worsened(now, tick, terms[SLIPPAGE_HUNDREDTHS], buy=buy)
            held[OPENED_NS], held[OPENED_PAISE] = now_ns, min(met, limit) if buy else max(met, limit)
            held[STOP_FROM_NS] = max(now_ns + latency, now_ns + 1)
            held[AT_BAR], held[AT_TICK], held[HELD_SIDE] = bar, place, side
            return True
        place += 1
        if place == bars.tick_start[bar + 1]:
            bar += 1
    return False


@inlined
def left(
    bars: Bars, held: Array, day: Array, terms: Array, at_ns: int, reason: int,
) -> bool:  # fmt: skip
    """Leaves at the market, as asked for at an instant up to which the position was watched: the stop is cancelled
    first, and may be hit until then. False where no tick comes any more."""
    latency, buy, end_bar = terms[LATENCY_NS], held[HELD_SIDE] < 0, day[END_BAR]
    if watch(
        bars, held, end_bar, at_ns + latency, with_target=False
    ) == STOPPED:  # fmt: skip
        return stopped(bars, held, day, terms)
    from_ns = at_ns + latency + max(latency, 1)
    bar, place = next_tick(bars, held[AT_BAR], end_bar, from_ns)
    if bar == end_bar:
        return False
    is_first = place == bars.tick_start[bar]
    price = bars.first_price[bar] if is_first else bars.tick_price[place]
    held[CLOSED_NS] = bars.first_ns[bar] if is_first else bars.tick_ns[place]
    held[CLOSED_PAISE] = worsened(price, day[TICK], terms[SLIPPAGE_HUNDREDTHS], buy=buy)
    held[AT_BAR], held[AT_TICK], held[WHY] = bar, place, reason
    return True


@inlined
def stopped(bars: Bars, held: Array, day: Array, terms: Array) -> bool:
    """The stop is filled at the tick that the position is at."""
    place = held[AT_TICK]
    held[CLOSED_NS], held[WHY] = bars.tick_ns[place], STOPPED
    held[CLOSED_PAISE] = worsened(
        bars.tick_price[place], day[TICK], terms[SLIPPAGE_HUNDREDTHS], buy=held[HELD_SIDE] < 0
    )  # fmt: skip
    return True


@inlined
def settled(held: Array, day: Array, number: int, trades: Array, daily: Array, counts: Array) -> int:
    """Books a trade that has closed; its net profit."""
    side, quantity = held[HELD_SIDE], held[HELD_QUANTITY]
    paid, got = quantity * held[OPENED_PAISE], quantity * held[CLOSED_PAISE]
    cost = charges(paid, day, buy=side > 0) + charges(got, day, buy=side < 0)
    net = side * (got - paid) - cost
    if max(paid, got) > VALUE_MAX:
        counts[TOO_LARGE] += 1
    place = counts[TRADES]
    if place < trades.shape[0]:
        row = trades[place]
        row[DAY], row[SIDE], row[QUANTITY], row[CHARGES_PAISE], row[NET_PAISE] = number, side, quantity, cost, net
        row[ENTRY_NS], row[ENTRY_PAISE] = held[OPENED_NS], held[OPENED_PAISE]
        row[EXIT_NS], row[EXIT_PAISE], row[REASON] = held[CLOSED_NS], held[CLOSED_PAISE], held[WHY]
    counts[TRADES] += 1
    counts[CHARGED_PAISE] += cost
    daily[number] += net
    if net > 0:
        counts[WINNERS] += 1
        counts[GAINED_PAISE] += net
    else:
        counts[LOST_PAISE] -= net
    return int(net)


@inlined
def admitted(
    price: int, stop: int, target: int, side: int, at_ns: int, session: Array, day: Array, terms: Array
) -> int:
    """How much risk lets in, 0 for nothing. Prices are on the tick."""
    inside = day[WINDOW_START_NS] <= at_ns < day[WINDOW_END_NS] or day[WINDOW2_START_NS] <= at_ns < day[WINDOW2_END_NS]
    if not inside or at_ns < day[ENTRY_START_NS] or at_ns >= day[ENTRY_END_NS] or at_ns >= day[HARD_END_NS]:
        return 0
    if stop <= 0 or side * (price - stop) <= 0 or (target != 0 and side * (target - price) <= 0):
        return 0
    if terms[STREAK_MAX] > 0 and session[STREAK] >= terms[STREAK_MAX]:
        return 0
    if session[TRADES_TODAY] >= terms[TRADES_MAX]:
        return 0
    if session[LAST_TRADE_NS] > 0 and at_ns - session[LAST_TRADE_NS] < terms[COOLDOWN_NS]:
        return 0
    return quantity_of(price, stop, day, terms)


@inlined
def asked(
    bars: Bars, held: Array, day: Array, terms: Array, session: Array, counts: Array, side: int, price: int, stop: int,
    target: int, bar: int, at_ns: int,
) -> int:  # fmt: skip
    """An entry that a strategy asks for: OPEN where it is let in and filled, else FLAT."""
    tick = day[TICK]
    price, stop = rounded(price, tick), rounded(stop, tick)
    target = rounded(target, tick) if target != 0 else 0
    quantity = admitted(price, stop, target, side, at_ns, session, day, terms)
    if quantity == 0:
        counts[BLOCKED] += 1
        return FLAT
    if not entered(
        bars, held, day, terms, side, price, bar, at_ns
    ):  # fmt: skip
        counts[UNFILLED] += 1
        return FLAT
    if quantity > day[ORDER_MAX]:
        counts[TOO_LARGE] += 1
    held[HELD_QUANTITY], held[STOP], held[TARGET] = quantity, stop, target
    session[TRADES_TODAY] += 1
    session[LAST_TRADE_NS] = held[OPENED_NS]
    return OPEN


@inlined
def followed(bars: Bars, held: Array, day: Array, terms: Array, counts: Array, until_ns: int, reason: int) -> int:
    """A position up to an instant, at which it is left for `reason` (0: it is not). OPEN, CLOSED, or FLAT where it
    cannot be closed any more."""
    hit = watch(bars, held, day[END_BAR], until_ns, with_target=True)
    if hit == STOPPED:
        stopped(bars, held, day, terms)
        return CLOSED
    if hit == AT_TARGET:
        at_ns, why = bars.tick_ns[held[AT_TICK]], AT_TARGET
    elif reason == 0:
        return OPEN
    else:
        at_ns, why = until_ns, reason
    out = left(
        bars, held, day, terms, at_ns, why
    )  # fmt: skip
    return CLOSED if out else FLAT


@inlined
def must_be_flat_ns(opened_ns: int, day: Array) -> int:
    """The end of the slice in which a position that was opened then has to be left."""
    heard = day[OPEN_NS] + ((opened_ns - day[OPEN_NS]) // MINUTE_NS + 1) * MINUTE_NS
    return int(max(day[HARD_END_NS], heard))


@inlined
def booked(held: Array, day: Array, number: int, session: Array, trades: Array, daily: Array, counts: Array) -> None:
    """What a close leaves behind."""
    net = settled(held, day, number, trades, daily, counts)
    session[LAST_TRADE_NS] = held[CLOSED_NS]
    if net != 0:
        session[STREAK] = session[STREAK] + 1 if net < 0 else 0


@inlined
def was_held(spans: Array, count: int, at_ns: int) -> int:
    """The side held at an instant of the day before, 0 for none."""
    for place in range(count):
        if spans[place, 0] < at_ns <= spans[place, 1]:
            return int(spans[place, 2])
    return 0


@inlined
def booked_close(
    held: Array, day: Array, number: int, session: Array, trades: Array, daily: Array, counts: Array, spans: Array,
    made: int,
) -> int:  # fmt: skip
    """Books a close; how many of the day there are then."""
    if made < spans.shape[0] and (made == 0 or spans[made - 1, 1] != held[CLOSED_NS]):
        booked(held, day, number, session, trades, daily, counts)
        spans[made, 0], spans[made, 1], spans[made, 2] = held[OPENED_NS], held[CLOSED_NS], held[HELD_SIDE]
        return made + 1
    return made
