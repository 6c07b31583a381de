"""QUOTE records of a broker to TICK records with an event time that can be used.

Invariants (property-tested): as many ticks as quotes with a price, in their order; no event time is ahead of the
market's clock by more than the tolerance; a quote without any exchange time happened when it arrived.
"""

import numpy as np

from tradebus.contracts.records import QUOTE_HAS_EXCHANGE_TIME, Records, ticks_of, with_price


def ticks_at(quotes: Records, *, now_ns: int, ahead_ns: int) -> Records:
    """The ticks of what arrived by `now_ns` on the market's clock."""
    priced = with_price(quotes)
    ticks = ticks_of(priced)
    untimed = (priced["fields"] & QUOTE_HAS_EXCHANGE_TIME) == 0
    wrong = untimed | (ticks["ts_event_ns"] > now_ns + ahead_ns)
    ticks["ts_event_ns"] = np.where(wrong, now_ns, ticks["ts_event_ns"])
    return ticks
