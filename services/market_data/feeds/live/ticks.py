"""QUOTE records of a broker as the bus carries them: ticks, and quotes in full, with event times that can be used.

Invariants (property-tested): a tick is of a trade of the day, in the order they came; before an instrument's first
trade of the day there is none; no event time is ahead of the market's clock by more than the tolerance.
"""

import numpy as np
import numpy.typing as npt

from tradebus.contracts.records import QUOTE_HAS_EXCHANGE_TIME, Records, ticks_since
from tradebus.kernel.time import ist_midnight_ns


def ticks_at(quotes: Records, *, now_ns: int, ahead_ns: int) -> Records:
    """The ticks of what arrived by `now_ns` on the market's clock."""
    ticks = ticks_since(quotes, ist_midnight_ns(now_ns), now_ns=now_ns)
    wrong = ticks["ts_event_ns"] > now_ns + ahead_ns
    ticks["ts_event_ns"] = np.where(wrong, now_ns, ticks["ts_event_ns"])
    return ticks


def quotes_at(quotes: Records, chosen: npt.NDArray[np.bool_], *, now_ns: int, ahead_ns: int) -> Records:
    """The QUOTE records of the instruments for which `chosen` (by id) is true, those of no trade too, with the
    exchange's time of the packet where it is one that can be."""
    known = (quotes["instrument"] >= 0) & (quotes["instrument"] < len(chosen))
    own = quotes[known & chosen[np.where(known, quotes["instrument"], 0)]]
    untimed = (own["fields"] & QUOTE_HAS_EXCHANGE_TIME) == 0
    wrong = untimed | (own["ts_event_ns"] > now_ns + ahead_ns)
    own["ts_event_ns"] = np.where(wrong, now_ns, own["ts_event_ns"])
    return own
