"""What happens at which instant of a trading day, by the dated calendar.

open ─► after-market orders enter      15:15 ─► stops of F&O stocks end      square-off ─► intraday positions close
class close ─► day orders end (F&O stocks: after the auction)      close of F&O ─► expiry      midnight ─► rollover
"""

from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum

from tradebus.calendar import MarketClass, session_for, stops_cancelled_ns
from tradebus.calendar.rules import ORDER_RULES
from tradebus.kernel.time import ist_to_ns

_AUCTION_MATCH_NS = 7 * 60_000_000_000  # after order entry ends: 15:28 + 7 minutes


class Event(StrEnum):
    OPEN = "OPEN"
    STOPS_END = "STOPS_END"
    SQUARE_OFF = "SQUARE_OFF"
    AUCTION = "AUCTION"
    CLOSE = "CLOSE"
    EXPIRY = "EXPIRY"
    ROLLOVER = "ROLLOVER"


@dataclass(frozen=True, slots=True, order=True)
class DayEvent:
    at_ns: int
    number: int  # among events of one instant
    event: Event
    market_class: MarketClass | None = None


def events_of(day: date) -> list[DayEvent]:
    """Ascending. A day without a session has only its end."""
    found: list[DayEvent] = []
    for market_class in MarketClass:
        session = session_for(day, market_class)
        if session is None or market_class is MarketClass.INDEX:
            continue
        found.append(DayEvent(session.open_ns, 0, Event.OPEN, market_class))
        found.append(DayEvent(session.square_off_ns, 1, Event.SQUARE_OFF, market_class))
        stops = stops_cancelled_ns(day, market_class)
        end_ns = session.close_ns
        if stops is not None:
            found.append(DayEvent(stops, 2, Event.STOPS_END, market_class))
            end_ns = ist_to_ns(day, ORDER_RULES.closing_auction.order_entry_until) + _AUCTION_MATCH_NS
            found.append(DayEvent(end_ns, 3, Event.AUCTION, market_class))
        found.append(DayEvent(end_ns, 4, Event.CLOSE, market_class))
        if market_class is MarketClass.DERIVATIVE:
            found.append(DayEvent(end_ns, 5, Event.EXPIRY, market_class))
    found.append(DayEvent(ist_to_ns(day + timedelta(days=1), time()), 6, Event.ROLLOVER))
    return sorted(found, key=lambda one: (one.at_ns, one.number))


def span_of(day: date) -> tuple[int, int] | None:
    """From the first open to the last close of any class, None on a day without a session."""
    sessions = [session for each in MarketClass if (session := session_for(day, each)) is not None]
    if not sessions:
        return None
    return min(one.open_ns for one in sessions), max(one.close_ns for one in sessions)
