"""QUOTE records of a broker to TICK records with an event time that can be used.

Invariants (property-tested): a tick is of a trade of the day, in the order they came; before an instrument's first
trade of the day there is none; no event time is ahead of the market's clock by more than the tolerance.
"""

import numpy as np

from tradebus.contracts.records import Records, ticks_since
from tradebus.kernel.time import ist_midnight_ns


def ticks_at(quotes: Records, *, now_ns: int, ahead_ns: int) -> Records:
    """The ticks of what arrived by `now_ns` on the market's clock."""
    ticks = ticks_since(quotes, ist_midnight_ns(now_ns), now_ns=now_ns)
    wrong = ticks["ts_event_ns"] > now_ns + ahead_ns
    ticks["ts_event_ns"] = np.where(wrong, now_ns, ticks["ts_event_ns"])
    return ticks
