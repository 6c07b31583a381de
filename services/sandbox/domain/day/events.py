"""What happens at which instant of a trading day, by the dated calendar.

open ─► after-market orders enter      square-off ─► intraday positions close      class close ─► day orders end
continuous trading of F&O stocks ends ─► their stops end, futures get a new range; auction ─► they match, day orders end
close of an expiring contract, which may be before its class' ─► its orders end, expiry      midnight ─► rollover
"""

from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum

from tradebus.calendar import Market, MarketClass, session_for
from tradebus.calendar.rules import begun, current
from tradebus.kernel.time import ist_to_ns


class DayEventKind(StrEnum):
    OPEN = "OPEN"
    AUCTION_BEGINS = "AUCTION_BEGINS"
    RANGE_RESET = "RANGE_RESET"
    SQUARE_OFF = "SQUARE_OFF"
    AUCTION = "AUCTION"
    CLOSE = "CLOSE"
    EXPIRY = "EXPIRY"
    ROLLOVER = "ROLLOVER"


@dataclass(frozen=True, slots=True, order=True)
class DayEvent:
    """`market` names whose contracts alone it is about: of SQUARE_OFF, CLOSE and EXPIRY those that expire that day."""

    at_ns: int
    number: int  # among events of one instant
    event: DayEventKind
    market_class: MarketClass | None = None
    market: Market | None = None


def events_of(day: date) -> list[DayEvent]:
    """Ascending. A day without a session has only its end."""
    found = [event for market_class in MarketClass for event in _of_class(day, market_class)]
    found += [event for market in Market for event in _of_expiring(day, market)]
    found.append(DayEvent(ist_to_ns(day + timedelta(days=1), time()), 6, DayEventKind.ROLLOVER))
    return sorted(found, key=lambda one: (one.at_ns, one.number))


def _of_class(day: date, market_class: MarketClass) -> list[DayEvent]:
    session = session_for(day, market_class)
    if session is None or market_class is MarketClass.INDEX:
        return []
    found = [
        DayEvent(session.open_ns, 0, DayEventKind.OPEN, market_class),
        DayEvent(session.brokers_square_off_ns, 1, DayEventKind.SQUARE_OFF, market_class),
    ]
    if session.stops_cancelled_ns is not None:
        found.append(DayEvent(session.stops_cancelled_ns, 2, DayEventKind.AUCTION_BEGINS, market_class))
        found.append(DayEvent(session.end_ns, 3, DayEventKind.AUCTION, market_class))
        found += [
            DayEvent(session.stops_cancelled_ns, 2, DayEventKind.RANGE_RESET, MarketClass.DERIVATIVE, market)
            for market, rules in current().range_resets.items()
            if begun(rules, day) is not None
        ]
    found.append(DayEvent(session.end_ns, 4, DayEventKind.CLOSE, market_class))
    return found


def _of_expiring(day: date, market: Market) -> list[DayEvent]:
    """Of contracts on their last day."""
    whole = session_for(day, MarketClass.DERIVATIVE)
    own = session_for(day, MarketClass.DERIVATIVE, expiring=market)
    if whole is None or own is None:
        return []
    found = [DayEvent(own.close_ns, 5, DayEventKind.EXPIRY, MarketClass.DERIVATIVE, market)]
    if own.close_ns < whole.close_ns:
        found.append(DayEvent(own.brokers_square_off_ns, 1, DayEventKind.SQUARE_OFF, MarketClass.DERIVATIVE, market))
        found.append(DayEvent(own.close_ns, 4, DayEventKind.CLOSE, MarketClass.DERIVATIVE, market))
    return found


def span_of(day: date) -> tuple[int, int] | None:
    """From the first open to the last close of any class, None on a day without a session."""
    sessions = [session for each in MarketClass if (session := session_for(day, each)) is not None]
    if not sessions:
        return None
    return min(one.open_ns for one in sessions), max(one.close_ns for one in sessions)
