"""Which tick of a batch matters to a trade: target, trail, deadline, extremes. Array operations, no I/O.

Sparse out of dense: the next tick at which anything can happen is found without looking at the others one by one.
"""

from math import exp

import numpy as np

from tradebus.contracts.records import Records
from tradebus.contracts.signals import Side
from tradebus.execution import deadlines
from tradebus.execution.leaving.pricing import Touch
from tradebus.execution.leaving.taken_back import first_average_paise
from tradebus.execution.stops.tightening import trail_watch
from tradebus.execution.trade import Trade
from tradebus.kernel.time import NANOSECONDS_PER_SECOND
from tradebus.trading.matching.conservative import minute_end, rest_of_minute
from tradebus.trading.orders import InstrumentTicks
from tradebus.trading.states import OrderState, TradeState

_RECENT_NS = 30 * NANOSECONDS_PER_SECOND


def columns(ticks: Records, *, after_ns: int) -> InstrumentTicks:
    """One instrument's ticks as columns, each a nanosecond or more later than the one before.

    Exchanges stamp to the second: ticks of one stamp keep the order they came in, a late one counts as it came.
    """
    order = np.arange(len(ticks))
    event_ns = np.maximum(ticks["ts_event_ns"], after_ns + 1)
    return InstrumentTicks(
        at_ns=np.maximum.accumulate(event_ns - order) + order,
        price_paise=ticks["price_paise"],
        bid_paise=ticks["bid_paise"],
        ask_paise=ticks["ask_paise"],
        volume_cumulative=ticks["volume_cumulative"],
        last_quantity=ticks["last_quantity"],
    )


def target_index(trade: Trade, ticks: InstrumentTicks, start: int) -> int | None:
    """The first tick, at or after `start`, at which an open trade has reached its target."""
    if trade.target_paise is None or trade.state is not TradeState.POSITION_OPEN or trade.exit_reason is not None:
        return None
    if any(order.is_standing and not order.ended for order in trade.orders):
        return None  # the broker watches it
    # The last tick applied is looked at again: a crash may have come between its effects.
    begin = max(start, int(ticks.at_ns.searchsorted(trade.as_of_ns, side="left")))
    index = _first_beyond(ticks, begin, trade.target_paise, trade.side)
    while trade.is_worst_first and index is not None and _stop_is_reached(trade, ticks, index):
        index = _first_beyond(ticks, minute_end(ticks, index), trade.target_paise, trade.side)
    return index


def _stop_is_reached(trade: Trade, ticks: InstrumentTicks, index: int) -> bool:
    """Whether the stop lies in what is left of the minute: of a bar nobody knows which of its prices came first."""
    low_paise, high_paise = rest_of_minute(ticks, index)
    return low_paise <= trade.stop_paise if trade.side is Side.LONG else high_paise >= trade.stop_paise


def trail_index(trade: Trade, ticks: InstrumentTicks, start: int) -> int | None:
    """The first tick, at or after `start`, at which the trade's stops are to follow the market."""
    watch = trail_watch(trade)
    if watch is None or trade.highest_paise is None or trade.lowest_paise is None:
        return None
    side, best_paise = trade.side, trade.highest_paise if trade.side is Side.LONG else trade.lowest_paise
    # What counts as the best price is as `note_extremes` has it; ticks before `start` may not be noted yet.
    noted = int(ticks.at_ns.searchsorted(max(trade.opened_ns or 0, trade.as_of_ns), side="right"))
    # The last tick applied is looked at again: a crash may have come between its effects.
    begin = max(start, *ticks.at_ns.searchsorted((trade.as_of_ns, watch.from_ns), side="left").tolist())
    if side.sign * (best_paise - watch.needs_paise) < 0:
        reached = _first_beyond(ticks, noted, watch.needs_paise, side)
        if reached is None:
            return None
        begin = max(begin, reached)
    return _first_beyond(ticks, begin, watch.level_paise + side.sign * trade.tick_size_paise, side)


def _first_beyond(ticks: InstrumentTicks, begin: int, price_paise: int, side: Side) -> int | None:
    """The first tick from `begin` on at that price, or at one that is better for the side."""
    prices = ticks.price_paise[begin:]
    is_beyond = prices >= price_paise if side is Side.LONG else prices <= price_paise
    index = int(np.argmax(is_beyond)) if len(is_beyond) else 0
    return begin + index if len(is_beyond) and is_beyond[index] else None


def ending(trade: Trade) -> bool:
    """Whether time alone may end the trade."""
    return any(order.state is OrderState.CANCEL_PENDING for order in trade.orders)


def reached_target(trade: Trade, ticks: InstrumentTicks, index: int) -> bool:
    return target_index(trade, ticks, index) == index


def deadline_index(trade: Trade, ticks: InstrumentTicks, start: int) -> int | None:
    """The first tick, at or after `start`, at or beyond the trade's next deadline."""
    due = deadlines.deadline_ns(trade)
    if due is None:
        return None
    index = max(start, int(ticks.at_ns.searchsorted(due)))
    return index if index < len(ticks) else None


def note_extremes(trade: Trade, ticks: InstrumentTicks, start: int, stop: int) -> None:
    """Takes the prices of [start, stop) after the opening into the trade's extremes, each tick once, and the last of
    them as the market of now."""
    if trade.opened_ns is None or trade.highest_paise is None or trade.lowest_paise is None or trade.ended:
        return
    begin = max(start, int(ticks.at_ns.searchsorted(max(trade.opened_ns, trade.as_of_ns), side="right")))
    if begin >= stop:
        return
    prices = ticks.price_paise[begin:stop]
    trade.highest_paise = max(trade.highest_paise, int(prices.max()))
    trade.lowest_paise = min(trade.lowest_paise, int(prices.min()))
    seen_ns, trade.as_of_ns = trade.as_of_ns, int(ticks.at_ns[stop - 1])
    trade.touch = Touch(
        int(ticks.bid_paise[stop - 1]), int(ticks.ask_paise[stop - 1]), int(ticks.price_paise[stop - 1]),
        _recent_paise(trade, float(prices.mean()), passed_ns=trade.as_of_ns - seen_ns),
    )  # fmt: skip


def _recent_paise(trade: Trade, mean_paise: float, *, passed_ns: int) -> float:
    """The average that price protection is measured from, after so long at that mean."""
    if not trade.contract.is_option:
        return 0.0
    before_paise = trade.touch.recent_paise if trade.touch is not None else 0.0
    before_paise = before_paise or float(first_average_paise(trade) or mean_paise)
    return before_paise + (1.0 - exp(-max(0, passed_ns) / _RECENT_NS)) * (mean_paise - before_paise)
