"""Where in a batch of ticks a paper order can change: one vectorised look instead of one match per tick.

Invariant (property-tested against `match`): ticks before the returned index leave the order as it is, apart from
`as_of_ns`.
"""

import numpy as np
import numpy.typing as npt

from tradebus.contracts.orders import Transaction
from tradebus.trading.matching.paper import PaperOrder, due_instants
from tradebus.trading.orders import InstrumentTicks

# So many ticks are looked at first: what is at the market fills at the next one, and a day has thousands.
_NEAR_TICKS = 32


def next_touch(order: PaperOrder, ticks: InstrumentTicks, start: int) -> int | None:
    """The index, at or after `start`, of the first tick that can change `order`; None where none can."""
    if order.status.final:
        return None
    instants = (*due_instants(order), order.day.checked_ns)
    candidates = [_first_from(ticks, start, due) for due in instants if due is not None]
    # From its first effective tick on; `as_of_ns` excludes what was applied already.
    begin = max(start, int(ticks.at_ns.searchsorted(max(order.effective_ns, order.as_of_ns + 1))))
    candidates.append(_first_reached(order, ticks, begin))
    found = [index for index in candidates if index is not None]
    return min(found) if found else None


def _first_from(ticks: InstrumentTicks, start: int, due_ns: int) -> int | None:
    index = max(start, int(ticks.at_ns.searchsorted(due_ns)))
    return index if index < len(ticks) else None


def _first_reached(order: PaperOrder, ticks: InstrumentTicks, begin: int) -> int | None:
    if begin >= len(ticks):
        return None
    reached = _reached(order, ticks, begin, begin + _NEAR_TICKS)
    index = int(reached.argmax())
    if not reached[index] and begin + _NEAR_TICKS < len(ticks):
        begin += _NEAR_TICKS
        reached = _reached(order, ticks, begin, len(ticks))
        index = int(reached.argmax())
    return begin + index if reached[index] else None


def _reached(order: PaperOrder, ticks: InstrumentTicks, begin: int, end: int) -> npt.NDArray[np.bool_]:
    """Which ticks of [begin, end) can fill or trigger the order."""
    buy = order.request.transaction is Transaction.BUY
    prices = ticks.price_paise[begin:end]
    conservative = order.as_conservative if order.settings.is_conservative else None
    reached: npt.NDArray[np.bool_]
    if order.trigger_paise is not None and not order.triggered:
        reached = prices >= order.trigger_paise if buy else prices <= order.trigger_paise
        target = order.request.target_paise
        if target is not None:
            reached = reached | (prices <= target if buy else prices >= target)
        return reached if conservative is None else reached & conservative.triggers(ticks, begin, begin + len(prices))
    if conservative is not None:
        return conservative.reached(ticks, begin, begin + len(prices))
    bids, asks = ticks.bid_paise[begin:end], ticks.ask_paise[begin:end]
    quoted, other = (asks, bids) if buy else (bids, asks)
    met = (quoted > 0) | (other <= 0)  # nobody to trade with where our side only is quoted
    if order.price_paise is None:
        return met
    best: npt.NDArray[np.int64] = np.where(quoted > 0, quoted, prices)
    reached = best <= order.price_paise if buy else best >= order.price_paise
    return reached & met
